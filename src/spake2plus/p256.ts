import { createECDH, ECDH, randomBytes } from 'node:crypto';
import type { RandomBytes } from '../random/random-bytes.js';

/**
 * NIST P-256 for SPAKE2+. Products with secret scalars are OpenSSL's (constant time), reached through its ECDH; that
 * yields x only, so y is recovered from the x coordinates of two products. Additions are done here on big integers:
 * their operands are public, or blinded by a scalar that lives for one handshake.
 */

const CURVE = 'prime256v1';
const FIELD_PRIME = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const CURVE_A = FIELD_PRIME - 3n;
const CURVE_B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
/** Order of the group; prime, and the cofactor is 1: every point on the curve is in the group. */
export const GROUP_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

export const SCALAR_BYTES = 32;
/** Uncompressed, SEC 1 §2.3.3: 04 ‖ x ‖ y. */
export const POINT_BYTES = 65;

const MAX_DRAWS = 64;

/** Bytes that are no P-256 point in uncompressed form. The point at infinity has no such form. */
export class InvalidPointError extends Error {
  constructor() {
    super('not a P-256 point in uncompressed form (65 bytes)');
    this.name = 'InvalidPointError';
  }
}

/** A point of the group other than infinity. Its coordinates are below p and satisfy the curve's equation. */
export class Point {
  private constructor(
    readonly x: bigint,
    readonly y: bigint,
  ) {}

  /**
   * Parses the 65 bytes of an uncompressed point. OpenSSL checks that both coordinates are below p and on the curve;
   * length and first byte are checked here, because it also reads compressed and hybrid forms and infinity.
   * Throws {@link InvalidPointError}.
   */
  static parse(bytes: Uint8Array): Point {
    if (bytes.length !== POINT_BYTES || bytes[0] !== 4) throw new InvalidPointError();
    try {
      ECDH.convertKey(bytes, CURVE);
    } catch {
      throw new InvalidPointError();
    }
    return Point.ofEncoded(bytes);
  }

  /** The 65 bytes that OpenSSL itself wrote: nothing is left to check. */
  static ofEncoded(bytes: Uint8Array): Point {
    return new Point(toInteger(bytes.subarray(1, 33)), toInteger(bytes.subarray(33, POINT_BYTES)));
  }

  /** Coordinates that were computed from points of the group. */
  static ofCoordinates(x: bigint, y: bigint): Point {
    return new Point(x, y);
  }

  encode(): Buffer {
    return Buffer.concat([Buffer.from([4]), toBytes(this.x), toBytes(this.y)]);
  }

  negate(): Point {
    return new Point(this.x, FIELD_PRIME - this.y);
  }

  /** `this + other`, or `undefined` when that is the point at infinity. Equal points are doubled. */
  add(other: Point): Point | undefined {
    if (this.x !== other.x) return this.#alongLine(other, (other.y - this.y) * invert(other.x - this.x));
    return this.y === other.y ? this.double() : undefined;
  }

  /** Never infinite: the order of the group is odd. */
  double(): Point {
    return this.#alongLine(this, (3n * this.x * this.x + CURVE_A) * invert(2n * this.y));
  }

  #alongLine(other: Point, slope: bigint): Point {
    const x = modP(slope * slope - this.x - other.x);
    return new Point(x, modP(slope * (this.x - x) - this.y));
  }
}

/** A secret scalar k, 1 ≤ k ≤ n − 2, whose products OpenSSL computes. */
export class Scalar {
  readonly #k = createECDH(CURVE);
  /** k + 1, for the second x coordinate; the reason why n − 1 is left out. */
  readonly #next = createECDH(CURVE);

  private constructor(value: bigint) {
    this.#k.setPrivateKey(toBytes(value));
    this.#next.setPrivateKey(toBytes(value + 1n));
  }

  /** From 32 bytes, big-endian. Throws RangeError outside 1 … n − 2. */
  static of(bytes: Uint8Array): Scalar {
    const value = bytes.length === SCALAR_BYTES ? toInteger(bytes) : 0n;
    if (!isUsableScalar(value)) throw new RangeError('the scalar must be 32 bytes from 1 to n − 2');
    return new Scalar(value);
  }

  /** A fresh scalar; see {@link drawScalar}. */
  static random(random: RandomBytes): Scalar {
    const bytes = drawScalar(random);
    const scalar = Scalar.of(bytes);
    bytes.fill(0);
    return scalar;
  }

  /** k·G. */
  multiplyBase(): Point {
    return Point.ofEncoded(this.#k.getPublicKey());
  }

  /**
   * k·P. With Q = kP and R = (k+1)P = P + Q, y_Q follows from x_P, y_P, x_Q and x_R (Brier and Joye 2002, "Weierstraß
   * Elliptic Curves and Side-Channel Attacks", eq. 8); y_P is never 0, since no point has order 2.
   */
  multiply(point: Point): Point {
    const encoded = point.encode();
    const x = toInteger(this.#k.computeSecret(encoded));
    const nextX = toInteger(this.#next.computeSecret(encoded));
    const distance = point.x - x;
    const numerator =
      2n * CURVE_B + (CURVE_A + point.x * x) * (point.x + x) - nextX * modP(distance * distance);
    return Point.ofCoordinates(x, modP(modP(numerator) * invert(2n * point.y)));
  }
}

/** 32 bytes, uniform in 1 … n − 2: draws outside are thrown away (one in 2^32), so that no value is likelier. */
export function drawScalar(random: RandomBytes): Buffer {
  for (let draw = 0; draw < MAX_DRAWS; draw += 1) {
    const bytes = random(SCALAR_BYTES);
    if (isUsableScalar(toInteger(bytes))) return bytes;
  }
  throw new Error('the source of randomness gave no scalar in range');
}

/** `bytes`, big-endian, mod n, as the 32 bytes of a scalar (RFC 9383 §3.2: 40 bytes make the bias negligible). */
export function reduceToScalar(bytes: Uint8Array): Buffer {
  return toBytes(toInteger(bytes) % GROUP_ORDER);
}

function isUsableScalar(value: bigint): boolean {
  return value >= 1n && value <= GROUP_ORDER - 2n;
}

function modP(value: bigint): bigint {
  const remainder = value % FIELD_PRIME;
  return remainder < 0n ? remainder + FIELD_PRIME : remainder;
}

/**
 * The inverse mod p by the extended Euclidean algorithm, whose running time depends on its input: so the input is first
 * multiplied by a random factor, which is taken out again afterwards. The result does not depend on the factor, so it
 * is not drawn from an injected source.
 */
function invert(value: bigint): bigint {
  const blind = (toInteger(randomBytes(40)) % (FIELD_PRIME - 1n)) + 1n;
  let [remainder, nextRemainder] = [modP(modP(value) * blind), FIELD_PRIME];
  let [coefficient, nextCoefficient] = [1n, 0n];
  while (nextRemainder !== 0n) {
    const quotient = remainder / nextRemainder;
    [remainder, nextRemainder] = [nextRemainder, remainder - quotient * nextRemainder];
    [coefficient, nextCoefficient] = [nextCoefficient, coefficient - quotient * nextCoefficient];
  }
  if (remainder !== 1n) throw new RangeError('zero has no inverse');
  return modP(modP(coefficient) * blind);
}

function toInteger(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`);
}

function toBytes(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
}
