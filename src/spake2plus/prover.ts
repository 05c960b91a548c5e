import { timingSafeEqual } from 'node:crypto';
import { deriveSessionKeys, type Identities, POINT_M, POINT_N } from './key-schedule.js';
import { Point, Scalar } from './p256.js';

/** The device's side of SPAKE2+ (RFC 9383 §3.3, "Prover"). */

export interface ProverKeys {
  /** To be sent, 32 bytes. */
  readonly confirmP: Buffer;
  /** K_shared, 32 bytes. Secret. */
  readonly sharedKey: Buffer;
}

/** One run; `x` must be fresh for each. */
export class Prover {
  readonly #w0: Buffer;
  readonly #blinding: Scalar;
  readonly #w1: Scalar;
  readonly #x: Scalar;
  /** shareP = x·G + w0·M, 65 bytes. */
  readonly shareP: Buffer;

  /** `w0` and `w1`: 32 bytes each, big-endian. Throws RangeError when one is out of range (never, in effect). */
  constructor(w0: Uint8Array, w1: Uint8Array, x: Scalar) {
    this.#w0 = Buffer.from(w0);
    this.#blinding = Scalar.of(w0);
    this.#w1 = Scalar.of(w1);
    this.#x = x;
    const share = x.multiplyBase().add(this.#blinding.multiply(POINT_M));
    if (share === undefined) throw new RangeError('x makes the share infinite; draw another');
    this.shareP = share.encode();
  }

  /**
   * Z = h·x·(Y − w0·N), V = h·w1·(Y − w0·N) with h = 1. The keys when `confirmV` is right; `undefined` when it is wrong,
   * which also a share is that makes Z infinite (RFC 9383 §3.3: abort). Throws `InvalidPointError` when `shareV` is no
   * point.
   */
  finish(shareV: Uint8Array, confirmV: Uint8Array, identities: Identities): ProverKeys | undefined {
    const unblinded = Point.parse(shareV).add(this.#blinding.multiply(POINT_N).negate());
    if (unblinded === undefined) return undefined;
    const keys = deriveSessionKeys(identities, {
      shareP: this.shareP,
      shareV,
      Z: this.#x.multiply(unblinded),
      V: this.#w1.multiply(unblinded),
      w0: this.#w0,
    });
    if (!equalInConstantTime(keys.confirmV, confirmV)) {
      keys.confirmP.fill(0);
      keys.sharedKey.fill(0);
      return undefined;
    }
    return { confirmP: keys.confirmP, sharedKey: keys.sharedKey };
  }

  /** Forgets what can be overwritten: w0. */
  discard(): void {
    this.#w0.fill(0);
  }
}

function equalInConstantTime(expected: Buffer, given: Uint8Array): boolean {
  return expected.length === given.length && timingSafeEqual(expected, given);
}
