import type { RandomBytes } from '../random/random-bytes.js';
import { deriveSessionKeys, type Identities, POINT_M, POINT_N, type SessionKeys } from './key-schedule.js';
import { drawScalar, Point, Scalar } from './p256.js';

/** The server's side of SPAKE2+ (RFC 9383 §3.3, "Verifier"). */

/** What the server keeps of a password. Who reads it can test guesses: it is stored sealed. */
export interface Verifier {
  /** 32 bytes, big-endian. */
  readonly w0: Buffer;
  /** L = w1·G, 65 bytes. */
  readonly L: Buffer;
  /** w0·M and w0·N, 65 bytes each: they never change, so they are computed once. */
  readonly w0M: Buffer;
  readonly w0N: Buffer;
}

export interface VerifierResponse extends SessionKeys {
  /**
   * Whether the share was one that makes Z infinite. Such a share is a wrong proof whatever confirmP comes with it; the
   * keys are then those of a stand-in, computed at the same cost, so that the answer shows nothing.
   */
  readonly degenerate: boolean;
}

/** The verifier of a password's w0 and w1, 32 bytes each. Throws RangeError when one is out of range (never, in effect). */
export function makeVerifier(w0: Uint8Array, w1: Uint8Array): Verifier {
  const blinding = Scalar.of(w0);
  return {
    w0: Buffer.from(w0),
    L: Scalar.of(w1).multiplyBase().encode(),
    w0M: blinding.multiply(POINT_M).encode(),
    w0N: blinding.multiply(POINT_N).encode(),
  };
}

/** shareV = y·G + w0·N, 65 bytes. `y` must be fresh for each handshake. */
export function verifierShare(verifier: Verifier, y: Scalar): Buffer {
  const share = y.multiplyBase().add(Point.parse(verifier.w0N));
  if (share === undefined) throw new RangeError('y makes the share infinite; draw another');
  return share.encode();
}

export interface VerifierTurn {
  readonly verifier: Verifier;
  readonly y: Scalar;
  /** 65 bytes, as received. */
  readonly shareP: Uint8Array;
  /** What {@link verifierShare} gave for the same verifier and y. */
  readonly shareV: Uint8Array;
  /** Apart from the share, because ours holds a hash of it. */
  readonly identities: Identities;
}

/**
 * Z = h·y·(X − w0·M), V = h·y·L with h = 1, and the keys that follow. Throws `InvalidPointError` when `shareP` is no
 * point; RFC 9383 §3.3 has the session aborted when Z or V is infinite, which is `degenerate` here (V never is: L is a
 * point of a group of prime order).
 */
export function verifierRespond({ verifier, y, shareP, shareV, identities }: VerifierTurn): VerifierResponse {
  const L = Point.parse(verifier.L);
  const blinding = Point.parse(verifier.w0M);
  const unblinded = Point.parse(shareP).add(blinding.negate());
  const keys = deriveSessionKeys(identities, {
    shareP,
    shareV,
    Z: y.multiply(unblinded ?? L.double()),
    V: y.multiply(L),
    w0: verifier.w0,
  });
  return { ...keys, degenerate: unblinded === undefined };
}

/** A verifier of no password at all, to answer with where there is no live code. */
export function decoyVerifier(random: RandomBytes): Verifier {
  const w1 = drawScalar(random);
  const decoy = makeVerifier(drawScalar(random), w1);
  w1.fill(0);
  return decoy;
}
