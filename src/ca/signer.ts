import 'reflect-metadata';
import type { webcrypto as WebCrypto } from 'node:crypto';
import { Crypto } from '@peculiar/webcrypto';
import {
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsageExtension,
  Extension,
  Name,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  AuthorityKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { EXTENSION, KEY_USAGE_BIT, PURPOSE_OID } from './certificate-extensions.js';
import { TAG } from './der.js';
import type { CertificateProfile } from './profiles.js';
import type { CertificateTemplate } from './template.js';

/** The one file that turns a template into DER; everything around it works on {@link CertificateTemplate}. */

/** Typed as Node's own: the package's types are written against the browser's library. */
const webcrypto = new Crypto() as unknown as WebCrypto.Crypto;
cryptoProvider.set(webcrypto);

const ECDSA_P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** Opaque handle to a P-256 private key; signs certificates and nothing else. */
export type SigningKey = WebCrypto.CryptoKey;

/** `pkcs8` is not kept; the caller may overwrite it. */
export function importSigningKey(pkcs8: Uint8Array): Promise<SigningKey> {
  return webcrypto.subtle.importKey('pkcs8', pkcs8, ECDSA_P256, false, ['sign']);
}

export interface SigningIdentity {
  readonly signingKey: SigningKey;
  /** Name, DER, as it stands in the issuer's certificate. */
  readonly name: Buffer;
  /** 20 bytes. */
  readonly keyIdentifier: Buffer;
}

/** The name of a profile's subject, DER. */
export function encodeSubject(profile: CertificateProfile): Buffer {
  const name = new Name(profile.subject.map(({ type, value }) => ({ [type]: [{ utf8String: value }] })));
  return Buffer.from(name.toArrayBuffer());
}

/**
 * Signs with ECDSA P-256 and SHA-256. The promise settles in microtasks: no timer, file or socket is waited for, so
 * this may be awaited inside a unit of work.
 */
export async function signCertificate(
  template: CertificateTemplate,
  subjectKeyIdentifier: Buffer,
  issuer: SigningIdentity,
): Promise<Buffer> {
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: template.serial.toString('hex'),
      issuer: new Name(issuer.name),
      subject: new Name(encodeSubject(template.profile)),
      notBefore: new Date(template.notBefore),
      notAfter: new Date(template.notAfter),
      publicKey: template.spki,
      signingKey: issuer.signingKey,
      signingAlgorithm: ECDSA_P256,
      extensions: extensionsOf(template.profile, subjectKeyIdentifier, issuer.keyIdentifier),
    },
    webcrypto,
  );
  return Buffer.from(certificate.rawData);
}

/** `basicConstraints` and `keyUsage` are critical (RFC 5280 §4.2.1.9, §4.2.1.3), the others are not. */
function extensionsOf(profile: CertificateProfile, subjectKey: Buffer, issuerKey: Buffer): Extension[] {
  const extensions: Extension[] = [
    new BasicConstraintsExtension(profile.ca !== null, profile.ca?.pathLength, true),
    keyUsageExtension(profile),
    new SubjectKeyIdentifierExtension(subjectKey.toString('hex')),
    new AuthorityKeyIdentifierExtension(issuerKey.toString('hex')),
  ];
  if (profile.purposes.length > 0) {
    extensions.push(new ExtendedKeyUsageExtension(profile.purposes.map((purpose) => PURPOSE_OID[purpose])));
  }
  if (profile.subjectAltNames.length > 0) {
    const names = profile.subjectAltNames.map(({ type, value }) => ({ type: X509_TYPE[type], value }));
    extensions.push(new SubjectAlternativeNameExtension(names));
  }
  return extensions;
}

const X509_TYPE = { uri: 'url', dns: 'dns', ip: 'ip' } as const;

/** BIT STRING of one byte, without the zero bits at its end (RFC 5280 §4.2.1.3, X.690 §11.2.2). */
function keyUsageExtension(profile: CertificateProfile): Extension {
  let bits = 0;
  for (const usage of profile.keyUsage) bits |= 0x80 >> KEY_USAGE_BIT[usage];
  const unused = 31 - Math.clz32(bits & -bits);
  return new Extension(EXTENSION.keyUsage, true, Uint8Array.of(TAG.bitString, 2, unused, bits));
}
