import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { isCanonicalEd25519, isIdentityKey } from '../identity/ed25519.js';

/** The two kinds of key that certificates are issued for (DESIGN §3). */
export type KeyAlgorithm = 'p256' | 'ed25519';

export interface PublicKeyInfo {
  readonly algorithm: KeyAlgorithm;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;
  /** Value of the BIT STRING: a 65-byte uncompressed point (P-256) or 32 bytes (Ed25519). */
  readonly keyBits: Buffer;
  readonly key: KeyObject;
}

/** Why a public key is not taken. */
export type KeyRefusal = 'unsupported' | 'invalid';

/** RFC 5480 §2.1.1: id-ecPublicKey with the named curve secp256r1, then a BIT STRING of 65 bytes. */
const P256_HEADER = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');
const P256_POINT = 65;
const UNCOMPRESSED = 0x04;
/** RFC 8410 §4: id-Ed25519 without parameters, then a BIT STRING of 32 bytes. */
const ED25519_HEADER = Buffer.from('302a300506032b6570032100', 'hex');
const ED25519_KEY = 32;

/** AlgorithmIdentifiers of the signatures: ecdsa-with-SHA256 (RFC 5758 §3.2) and Ed25519 (RFC 8410 §3), no parameters. */
export const SIGNATURE_ALGORITHM: Readonly<Record<KeyAlgorithm, Buffer>> = {
  p256: Buffer.from('300a06082a8648ce3d040302', 'hex'),
  ed25519: Buffer.from('300506032b6570', 'hex'),
};

/**
 * Reads a SubjectPublicKeyInfo in the one DER form that each of the two algorithms has. `unsupported`: another
 * algorithm, another curve, a compressed point. `invalid`: no point of the curve, or an Ed25519 key that is not
 * canonical or of small order (OpenSSL verifies any message under such a key).
 */
export function readPublicKey(spki: Buffer): PublicKeyInfo | KeyRefusal {
  const key = readVerifyingKey(spki);
  return typeof key === 'string' || isOnCurve(key) ? key : 'invalid';
}

/**
 * The same for whoever verifies a signature under the key next: whether an Ed25519 key is on its curve is left open, for
 * then nothing verifies. {@link isOnCurve} tells such a key from a signature that is wrong.
 */
export function readVerifyingKey(spki: Buffer): PublicKeyInfo | KeyRefusal {
  const form = formOf(spki);
  if (!form) return 'unsupported';
  const keyBits = spki.subarray(form.header.length);
  return form.algorithm === 'p256' ? readP256(spki, keyBits) : readEd25519(spki, keyBits);
}

/** A P-256 key was on the curve when it was imported. */
export function isOnCurve({ algorithm, keyBits }: PublicKeyInfo): boolean {
  return algorithm === 'p256' || isIdentityKey(keyBits);
}

/** Value of the BIT STRING of a key that was read before; nothing but its form is looked at. `undefined`: another form. */
export function keyBitsOf(spki: Buffer): Buffer | undefined {
  const form = formOf(spki);
  return form && spki.subarray(form.header.length);
}

interface KeyForm {
  readonly algorithm: KeyAlgorithm;
  readonly header: Buffer;
  readonly length: number;
}

const FORMS: readonly KeyForm[] = [
  { algorithm: 'p256', header: P256_HEADER, length: P256_HEADER.length + P256_POINT },
  { algorithm: 'ed25519', header: ED25519_HEADER, length: ED25519_HEADER.length + ED25519_KEY },
];

function formOf(spki: Buffer): KeyForm | undefined {
  return FORMS.find(
    ({ header, length }) =>
      spki.length === length && spki.compare(header, 0, header.length, 0, header.length) === 0,
  );
}

/** From JWK, since that import costs half of OpenSSL's SPKI decoder; it refuses a point off the curve. */
function readP256(spki: Buffer, keyBits: Buffer): PublicKeyInfo | KeyRefusal {
  if (keyBits[0] !== UNCOMPRESSED) return 'unsupported';
  const x = keyBits.subarray(1, 33).toString('base64url');
  const y = keyBits.subarray(33).toString('base64url');
  return imported('p256', spki, keyBits, { kty: 'EC', crv: 'P-256', x, y });
}

function readEd25519(spki: Buffer, keyBits: Buffer): PublicKeyInfo | KeyRefusal {
  if (!isCanonicalEd25519(keyBits)) return 'invalid';
  return imported('ed25519', spki, keyBits, { kty: 'OKP', crv: 'Ed25519', x: keyBits.toString('base64url') });
}

function imported(
  algorithm: KeyAlgorithm,
  spki: Buffer,
  keyBits: Buffer,
  jwk: Record<string, string>,
): PublicKeyInfo | KeyRefusal {
  try {
    return { algorithm, spki, keyBits, key: createPublicKey({ format: 'jwk', key: jwk }) };
  } catch {
    return 'invalid';
  }
}

/** SHA-256 of a SubjectPublicKeyInfo, lower-case hex: by which the registry knows what key a certificate is for. */
export function spkiHash(spki: Uint8Array): string {
  return hash('sha256', spki, 'hex');
}

/** Key identifier: the first 20 bytes of SHA-256 of the key's BIT STRING (RFC 7093 §2, method 1). */
export function keyIdentifier(keyBits: Uint8Array): Buffer {
  return hash('sha256', keyBits, 'buffer').subarray(0, 20);
}
