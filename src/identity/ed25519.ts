import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { verifyOnPool } from '../ca/pool-verification.js';

/** Ed25519 identity keys (RFC 8032), strict: one encoding for each key, no key under which a stranger can sign. */

export const IDENTITY_KEY_BYTES = 32;

/**
 * Every y whose points have an order that divides 8, little-endian and without the sign bit: 1 (order 1), p − 1 (order
 * 2), 0 (order 4), two of order 8, and the encodings p and p + 1 of 0 and 1, which are not canonical.
 */
const SMALL_ORDER_Y: readonly Buffer[] = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map((hex) => Buffer.from(hex, 'hex'));

/** Their first bytes: nearly every key is told from all of them by this one. */
const SMALL_ORDER_FIRST: ReadonlySet<number | undefined> = new Set(SMALL_ORDER_Y.map(([first]) => first));

/** p = 2^255 − 19, big-endian. */
const FIELD_PRIME_BE = Buffer.from('7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed', 'hex');

/**
 * Whether `raw` is 32 bytes with y below p and not of small order: all that {@link isIdentityKey} asks but that the point
 * is on the curve, at a hundredth of the cost. Enough where a signature under the key is verified next, since nothing
 * verifies under a key that is no point (RFC 8032 §5.1.7, step 1); a sign on x = 0 has only points of small order.
 */
export function isCanonicalEd25519(raw: Uint8Array): boolean {
  return raw.length === IDENTITY_KEY_BYTES && !hasSmallOrder(raw) && isBelowPrime(raw);
}

function isBelowPrime(raw: Uint8Array): boolean {
  const y = Buffer.from(raw);
  y[31] = (y[31] ?? 0) & 0x7f;
  // Little-endian: the comparison of bytes is one of numbers once both are turned around.
  return y.reverse().compare(FIELD_PRIME_BE) < 0;
}

/**
 * Whether `raw` may be a device's identity: 32 bytes, a point by RFC 8032 §5.1.3 (y below p, on the curve, no sign on
 * x = 0) and not of small order. OpenSSL itself takes any 32 bytes as a key.
 */
export function isIdentityKey(raw: Uint8Array): boolean {
  if (!isCanonicalEd25519(raw)) return false;
  try {
    ed25519.Point.fromBytes(Uint8Array.from(raw), false);
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether `signature` is the identity key's over `message` (RFC 8032 §5.1.7, without cofactor). OpenSSL itself
 * refuses other lengths than 64 bytes and S not below L, which the vectors watch over. A key of small order is refused
 * here too, since under it OpenSSL lets one signature hold for every message; whether the key is canonical was decided
 * when it was accepted ({@link isIdentityKey}).
 */
export function verifyIdentitySignature(
  identityKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  return isUsable(identityKey) && verify(null, message, importIdentityKey(identityKey), signature);
}

/** {@link verifyIdentitySignature} on libuv's pool. */
export async function verifyIdentitySignatureOnPool(
  identityKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  return isUsable(identityKey) && verifyOnPool(null, message, importIdentityKey(identityKey), signature);
}

const isUsable = (identityKey: Uint8Array): boolean =>
  identityKey.length === IDENTITY_KEY_BYTES && !hasSmallOrder(identityKey);

/** The signature of an Ed25519 private key over `message`, 64 bytes. Throws TypeError for another kind of key. */
export function signWithIdentity(privateKey: KeyObject, message: Uint8Array): Buffer {
  if (privateKey.type !== 'private') throw new TypeError('the identity key must be a private key');
  assertEd25519(privateKey);
  return sign(null, message, privateKey);
}

/** The 32 raw bytes of the public key that belongs to an Ed25519 key. Throws TypeError for another kind of key. */
export function rawIdentityKey(key: KeyObject): Buffer {
  assertEd25519(key);
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
}

function importIdentityKey(raw: Uint8Array): KeyObject {
  const x = Buffer.from(raw).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

function assertEd25519(key: KeyObject): void {
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('the identity key must be an Ed25519 key');
}

function hasSmallOrder(raw: Uint8Array): boolean {
  if (!SMALL_ORDER_FIRST.has(raw[0])) return false;
  const y = Buffer.from(raw);
  y[31] = (y[31] ?? 0) & 0x7f;
  return SMALL_ORDER_Y.some((small) => small.equals(y));
}
