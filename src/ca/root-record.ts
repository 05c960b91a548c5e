import { z } from 'zod';
import type { RandomBytes } from '../random/random-bytes.js';
import { corruptRecord, decodeJsonRecord, encodeJsonRecord } from '../secret-store/json-record.js';
import { parseCertificate, type ParsedCertificate } from './certificate-parser.js';
import { issueCross, issueRoot, openIssuer, type Issuer } from './issuer.js';
import type { SignedCertificate } from './issued-certificate.js';
import { newKeyPair } from '../random/key-pair.js';

/** Sealed records `ca/<key id>`: each holds a CA key, its certificate, and what the key is used for. */

export const ROOT_RECORD_PREFIX = 'ca/';
export const rootRecordName = (keyId: string): string => `${ROOT_RECORD_PREFIX}${keyId}`;

/** How long a root lives: 10 years of 365 days. */
export const ROOT_LIFETIME_MS = 10 * 365 * 24 * 60 * 60 * 1000;

/**
 * The life of a root (DESIGN §3, "Rotation"): `prepared` is trusted and signs nothing yet; exactly one is `signing`;
 * `retiring` is still trusted and signs no certificate any more; `retired` is out of the bundle, and only shown behind
 * the certificates of newer roots until the return grace is over.
 */
export const ROOT_STATES = ['prepared', 'signing', 'retiring', 'retired'] as const;
export type RootState = (typeof ROOT_STATES)[number];

/** When a root changed its state; Unix milliseconds. */
export interface RootHistory {
  readonly createdAt: number;
  /** When it began to sign; `null` before. */
  readonly activatedAt: number | null;
  /** When another root took over; `null` before. */
  readonly supersededAt: number | null;
  /** When it left the bundle; `null` before. */
  readonly retiredAt: number | null;
}

/** A root as it is used: its record, opened. */
export interface Root extends RootHistory {
  readonly state: RootState;
  readonly trustDomain: string;
  readonly issuer: Issuer;
  /** Certificates of this root's key under older roots. */
  readonly crossCertificates: readonly ParsedCertificate[];
}

export interface NewRoot {
  readonly root: Root;
  /** Its certificate, to be recorded like any other, and so the cross-certificates. */
  readonly certificate: SignedCertificate;
  readonly crossCertificates: readonly SignedCertificate[];
  /** Content of its sealed record. Secret. */
  readonly record: Buffer;
}

export interface NewRootOptions {
  /** `signing` unless said otherwise. */
  readonly state?: 'signing' | 'prepared';
  /** The older roots that certify its key; none unless said otherwise. */
  readonly crossSigners?: readonly Issuer[];
}

/** Makes a P-256 key and the certificate of a root. The clear key is overwritten; it stays in `record` alone. */
export async function makeRoot(
  trustDomain: string,
  now: number,
  randomBytes: RandomBytes,
  { state = 'signing', crossSigners = [] }: NewRootOptions = {},
): Promise<NewRoot> {
  const { privateKey } = newKeyPair('p256');
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  const order = { issuedAt: now, lifetimeMs: ROOT_LIFETIME_MS };
  const certificate = await issueRoot(pkcs8, trustDomain, order, randomBytes);
  const issuer = await openIssuer(pkcs8, certificate.der);
  const crossCertificates: SignedCertificate[] = [];
  for (const signer of crossSigners) {
    crossCertificates.push(await issueCross(signer, trustDomain, issuer, now, randomBytes));
  }
  const history: RootHistory = {
    createdAt: now,
    activatedAt: state === 'signing' ? now : null,
    supersededAt: null,
    retiredAt: null,
  };
  const record = encodeJsonRecord({
    state,
    trustDomain,
    ...history,
    certificate: certificate.der.toString('base64'),
    crossCertificates: crossCertificates.map(({ der }) => der.toString('base64')),
    privateKey: pkcs8.toString('base64'),
  });
  pkcs8.fill(0);
  const parsed = crossCertificates.map(({ der }) => parseCertificate(der));
  const root = { state, trustDomain, ...history, issuer, crossCertificates: parsed };
  return { root, certificate, crossCertificates, record };
}

const bytes = z.base64().transform((text) => Buffer.from(text, 'base64'));
const unixMs = z.int().nonnegative();

const schema = z.strictObject({
  v: z.literal(1),
  state: z.enum(ROOT_STATES),
  trustDomain: z.string(),
  createdAt: unixMs,
  // Records of before there was rotation have none of the three; their root has signed since it was made.
  activatedAt: unixMs.nullable().optional(),
  supersededAt: unixMs.nullable().default(null),
  retiredAt: unixMs.nullable().default(null),
  /** DER. */
  certificate: bytes,
  crossCertificates: z.array(bytes).default([]),
  /** PKCS#8, DER. */
  privateKey: bytes,
});

/** Throws `corrupt` when the record is damaged, key and certificate do not match, or it stands under another name. */
export async function openRootRecord(name: string, record: Buffer): Promise<Root> {
  const { privateKey, certificate, crossCertificates, ...fields } = decodeJsonRecord(name, schema, record);
  const { state, trustDomain, createdAt, activatedAt = createdAt, supersededAt, retiredAt } = fields;
  try {
    const issuer = await openIssuer(privateKey, certificate);
    if (rootRecordName(issuer.keyId) !== name) throw new Error('the record of another key');
    const parsed = crossCertificates.map((der) => crossCertificate(der, issuer));
    const history = { createdAt, activatedAt, supersededAt, retiredAt };
    return { state, trustDomain, ...history, issuer, crossCertificates: parsed };
  } catch (cause) {
    throw corruptRecord(name, cause);
  } finally {
    privateKey.fill(0);
  }
}

function crossCertificate(der: Buffer, { certificate }: Issuer): ParsedCertificate {
  const cross = parseCertificate(der);
  if (!cross.subject.equals(certificate.subject) || !cross.spki.equals(certificate.spki)) {
    throw new Error('the cross-certificate of another root');
  }
  return cross;
}

/** The content of a root's record in another state. Throws `corrupt` as above. */
export function withRootState(
  name: string,
  record: Buffer,
  changes: Partial<Omit<RootHistory, 'createdAt'>> & { readonly state: RootState },
): Buffer {
  const {
    v: _version,
    certificate,
    crossCertificates,
    privateKey,
    ...fields
  } = decodeJsonRecord(name, schema, record);
  const changed = encodeJsonRecord({
    ...fields,
    ...changes,
    certificate: certificate.toString('base64'),
    crossCertificates: crossCertificates.map((der) => der.toString('base64')),
    privateKey: privateKey.toString('base64'),
  });
  privateKey.fill(0);
  return changed;
}
