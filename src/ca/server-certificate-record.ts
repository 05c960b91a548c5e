import { createHash, createPrivateKey, createPublicKey, verify } from 'node:crypto';
import { z } from 'zod';
import { corruptRecord, decodeJsonRecord, encodeJsonRecord } from '../secret-store/json-record.js';
import type { CertificateAuthority } from './certificate-authority.js';
import { readSubjectAltNames } from './certificate-extensions.js';
import { parseCertificate, type ParsedCertificate } from './certificate-parser.js';
import { controlPlaneProfile } from './profiles.js';

/** The doors that serve TLS with a certificate of their own; one sealed record `server/<door>` each. */
export const SERVER_DOORS = ['grpc', 'quic'] as const;
export type ServerDoor = (typeof SERVER_DOORS)[number];

export const serverRecordName = (door: ServerDoor): string => `server/${door}`;

/** The certificate a door serves, with its key. */
export interface ServerCertificate {
  readonly certificate: ParsedCertificate;
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string;
  /** PKCS#8 PEM. Secret. */
  readonly key: string;
  /** Unix milliseconds. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

const schema = z.strictObject({
  v: z.literal(1),
  /** DER, base64. */
  certificate: z.base64(),
  /** PKCS#8 PEM. */
  privateKey: z.string(),
  issuedAt: z.int().nonnegative(),
});

export function encodeServerCertificate(der: Buffer, key: string, issuedAt: number): Buffer {
  return encodeJsonRecord({ certificate: der.toString('base64'), privateKey: key, issuedAt });
}

/** Throws `corrupt` when the record is damaged or its key is not that of its certificate. */
export function decodeServerCertificate(door: ServerDoor, record: Buffer): ServerCertificate {
  const name = serverRecordName(door);
  const { certificate: base64, privateKey: key, issuedAt } = decodeJsonRecord(name, schema, record);
  try {
    const certificate = parseCertificate(Buffer.from(base64, 'base64'));
    const spki = createPublicKey(createPrivateKey(key)).export({ format: 'der', type: 'spki' });
    if (!spki.equals(certificate.spki)) throw new Error('the key is not that of the certificate');
    const fingerprint = createHash('sha256').update(certificate.der).digest('hex');
    return { certificate, fingerprint, key, issuedAt, expiresAt: certificate.notAfter };
  } catch (cause) {
    throw corruptRecord(name, cause);
  }
}

/** Whether a stored certificate is what would be issued today: by the root that signs now, for exactly these names. */
export function stillFits(
  { certificate }: ServerCertificate,
  authority: CertificateAuthority,
  names: readonly string[],
): boolean {
  const root = parseCertificate(authority.signingRoot);
  if (!certificate.issuer.equals(root.subject)) return false;
  const rootKey = createPublicKey({ key: root.spki, format: 'der', type: 'spki' });
  if (!verify('sha256', certificate.tbs, rootKey, certificate.signature)) return false;
  const wanted = controlPlaneProfile(authority.trustDomain, names).subjectAltNames;
  return JSON.stringify(readSubjectAltNames(certificate)) === JSON.stringify(wanted);
}
