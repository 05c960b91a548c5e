import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { enc } from '../encoding/canonical.js';
import { Point } from './p256.js';

/** RFC 9383 §4, table 1, P-256: M and N, uncompressed (their y, recovered from the compressed form of the RFC). */
export const POINT_M = Point.parse(
  Buffer.from(
    '04886e2f97ace46e55ba9dd7242579f2993b64e16ef3dcab95afd497333d8fa12f' +
      '5ff355163e43ce224e0b0e65ff02ac8e5c7be09419c785e0ca547d55a12e2d20',
    'hex',
  ),
);
export const POINT_N = Point.parse(
  Buffer.from(
    '04d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b49' +
      '07d60aa6bfade45008a636337f5168c64d9bd36034808cd564490b1e656edbe7',
    'hex',
  ),
);

/** Bytes of confirmP, confirmV and K_shared. */
export const CONFIRMATION_BYTES = 32;

/** What both sides agreed on outside the group operations; bound by TT. */
export interface Identities {
  readonly context: Uint8Array;
  readonly prover: Uint8Array;
  readonly verifier: Uint8Array;
}

/** The public shares, 65 bytes each as they were sent, and what only the two sides can compute. */
export interface SharedElements {
  readonly shareP: Uint8Array;
  readonly shareV: Uint8Array;
  readonly Z: Point;
  readonly V: Point;
  /** 32 bytes. */
  readonly w0: Uint8Array;
}

/** 32 bytes each. All but the confirmation that is sent are secrets. */
export interface SessionKeys {
  readonly confirmP: Buffer;
  readonly confirmV: Buffer;
  readonly sharedKey: Buffer;
}

/** RFC 9383 §3.3: the transcript TT. */
export function transcript(identities: Identities, elements: SharedElements): Buffer {
  return enc(
    identities.context,
    identities.prover,
    identities.verifier,
    POINT_M.encode(),
    POINT_N.encode(),
    elements.shareP,
    elements.shareV,
    elements.Z.encode(),
    elements.V.encode(),
    elements.w0,
  );
}

/** RFC 9383 §3.4 with SHA-256, HKDF-SHA-256 and HMAC-SHA-256. */
export function deriveSessionKeys(identities: Identities, elements: SharedElements): SessionKeys {
  const tt = transcript(identities, elements);
  const mainKey = createHash('sha256').update(tt).digest();
  const confirmationKeys = expand(mainKey, 'ConfirmationKeys', 64);
  const sharedKey = expand(mainKey, 'SharedKey', 32);
  const confirmP = hmac(confirmationKeys.subarray(0, 32), elements.shareV);
  const confirmV = hmac(confirmationKeys.subarray(32), elements.shareP);
  for (const secret of [tt, mainKey, confirmationKeys]) secret.fill(0);
  return { confirmP, confirmV, sharedKey };
}

function expand(key: Buffer, info: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), info, length));
}

function hmac(key: Uint8Array, message: Uint8Array): Buffer {
  return createHmac('sha256', key).update(message).digest();
}
