import { hash, type KeyObject } from 'node:crypto';
import { DomainError } from '../errors/domain-error.js';
import type { RandomBytes } from '../random/random-bytes.js';
import { hasKeyUsage, readBasicConstraints, readSubjectKeyIdentifier } from './certificate-extensions.js';
import { parseCertificate, type ParsedCertificate } from './certificate-parser.js';
import type { SignedCertificate } from './issued-certificate.js';
import { distinguishedNameText, encodeDistinguishedName } from './names.js';
import { checkOwnOutput } from './output-check.js';
import { encodePem } from './pem.js';
import { crossProfile, rootProfile, type CertificateProfile } from './profiles.js';
import { keyBitsOf, keyIdentifier, spkiHash } from './public-key.js';
import { SigningKey } from './signer.js';
import { TbsEncoder } from './tbs-encoder.js';
import { randomSerial, validityOf, type CertificateTemplate } from './template.js';

/** Who signs: a CA key with the name and identifier that go into what it signs. */
interface Signatory {
  /** Key id: the SKI in lower-case hex, the CA's name everywhere (docs/protocol.md, "Sealed records"). */
  readonly keyId: string;
  readonly keyIdentifier: Buffer;
  /** Name, DER. */
  readonly name: Buffer;
  readonly publicKey: KeyObject;
  readonly signingKey: SigningKey;
  /** Of this name and identifier. */
  readonly tbsEncoder: TbsEncoder;
}

/** A CA key with its certificate: what leaves are issued with. The private key cannot be read from it. */
export interface Issuer extends Signatory {
  readonly certificate: ParsedCertificate;
}

/** What is asked of an issuer, apart from the profile. */
export interface IssuanceOrder {
  /**
   * SubjectPublicKeyInfo, DER: P-256 or Ed25519, of a `VerifiedCsr` or of a key that was made here. Its form is looked at
   * again, its point is not.
   */
  readonly spki: Buffer;
  /** Unix milliseconds. */
  readonly issuedAt: number;
  readonly lifetimeMs: number;
}

/**
 * Issues one leaf, in stages: policy (validity inside the CA's) → template → sign → check own output. The caller records
 * the result with its decision in one unit of work before it lets it out. Throws `malformed` LIFETIME, `wrong_state`
 * CA_NOT_VALID, `internal` ISSUANCE_CHECK.
 */
export async function issueLeaf(
  issuer: Issuer,
  profile: CertificateProfile,
  order: IssuanceOrder,
  randomBytes: RandomBytes,
): Promise<SignedCertificate> {
  const validity = validityOf(order.issuedAt, order.lifetimeMs, issuer.certificate);
  const template = { profile, serial: randomSerial(randomBytes), spki: order.spki, ...validity };
  return signAndCheck(issuer, template, order.issuedAt);
}

/** Signs the certificate of a root with its own key; the same stages, with nothing above to stay inside of. */
export async function issueRoot(
  pkcs8: Buffer,
  trustDomain: string,
  order: Omit<IssuanceOrder, 'spki'>,
  randomBytes: RandomBytes,
): Promise<SignedCertificate> {
  const { spki, ...key } = await openKey(pkcs8);
  const profile = rootProfile(trustDomain, key.keyId);
  const validity = validityOf(order.issuedAt, order.lifetimeMs, null);
  const template = { profile, serial: randomSerial(randomBytes), spki, ...validity };
  return signAndCheck(signatory(key, encodeDistinguishedName(profile.subject)), template, order.issuedAt);
}

/**
 * Signs the key of another root with an issuer, by the same stages: inside the validity of both. Throws as `issueLeaf`
 * does.
 */
export async function issueCross(
  issuer: Issuer,
  trustDomain: string,
  root: Issuer,
  issuedAt: number,
  randomBytes: RandomBytes,
): Promise<SignedCertificate> {
  const { notAfter, spki } = root.certificate;
  const profile = crossProfile(trustDomain, root.keyId);
  const validity = validityOf(issuedAt, notAfter - issuedAt, issuer.certificate);
  const template = { profile, serial: randomSerial(randomBytes), spki, ...validity };
  return signAndCheck(issuer, template, issuedAt);
}

/**
 * Makes an issuer of a private key and its CA certificate. Throws an `Error` when they do not belong together or the
 * certificate is no CA's.
 */
export async function openIssuer(pkcs8: Buffer, certificateDer: Buffer): Promise<Issuer> {
  const certificate = parseCertificate(certificateDer);
  const { spki, ...key } = await openKey(pkcs8);
  if (!spki.equals(certificate.spki)) throw new Error('the private key is not that of the certificate');
  const isCa = readBasicConstraints(certificate)?.ca === true && hasKeyUsage(certificate, 'keyCertSign');
  if (!isCa) throw new Error('the certificate is not that of a CA');
  if (!readSubjectKeyIdentifier(certificate)?.equals(key.keyIdentifier))
    throw new Error('another key identifier');
  return { ...signatory(key, certificate.subject), certificate };
}

type Key = Omit<Signatory, 'name' | 'tbsEncoder'>;

function signatory(key: Key, name: Buffer): Signatory {
  return { ...key, name, tbsEncoder: new TbsEncoder(name, key.keyIdentifier) };
}

async function openKey(pkcs8: Buffer): Promise<Key & { spki: Buffer }> {
  const signingKey = await SigningKey.open(pkcs8);
  const { publicKey } = signingKey;
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const identifier = subjectKeyIdentifier(spki);
  return { spki, publicKey, keyIdentifier: identifier, keyId: identifier.toString('hex'), signingKey };
}

async function signAndCheck(
  signatory: Signatory,
  template: CertificateTemplate,
  issuedAt: number,
): Promise<SignedCertificate> {
  const subjectKey = subjectKeyIdentifier(template.spki);
  const tbs = signatory.tbsEncoder.encode(template, subjectKey);
  const der = await signatory.signingKey.certify(tbs);
  checkOwnOutput(der, template, subjectKey, signatory);
  return {
    serial: template.serial.toString('hex'),
    subject: distinguishedNameText(template.profile.subject),
    pem: encodePem('CERTIFICATE', der),
    der,
    fingerprint: hash('sha256', der, 'hex'),
    keyHash: spkiHash(template.spki),
    issuedAt,
    expiresAt: template.notAfter,
    profile: template.profile.kind,
    subjectId: template.profile.subjectId,
    issuerKeyId: signatory.keyId,
  };
}

function subjectKeyIdentifier(spki: Buffer): Buffer {
  const keyBits = keyBitsOf(spki);
  if (keyBits === undefined)
    throw new DomainError('internal', 'ISSUANCE_KEY', 'the key to certify is unsupported');
  return keyIdentifier(keyBits);
}
