import type { DeviceCertificate, DeviceIdentity } from './device-identity.js';

/** What a renewal conflict does to the device: it is suspended, or only flagged. */
export const CONFLICT_ACTIONS = ['suspend', 'flag'] as const;
export type ConflictAction = (typeof CONFLICT_ACTIONS)[number];

export interface RenewalPolicy {
  /** How long after the expiry of its newest certificate a device may return, milliseconds; 0 turns return off. */
  readonly returnGraceMs: number;
  readonly onConflict: ConflictAction;
}

/** What an authentic request asks for. */
export interface RenewalWish {
  /** SHA-256 of the certificate that the device takes for its newest, lower-case hex. */
  readonly parent: string;
  /** SHA-256 of the requested key's SubjectPublicKeyInfo, lower-case hex. */
  readonly keyHash: string;
  /** Whether the requested key is one that another device's certificate is for. */
  readonly keyInUse: boolean;
}

export type RenewalDecision =
  /** A new certificate; `returning` when the newest one had expired. */
  | { readonly kind: 'issue'; readonly returning: boolean }
  /** An answer was lost on its way: the same again. */
  | { readonly kind: 'same_certificate'; readonly certificate: DeviceCertificate }
  /** A clone, or a disk that was set back. */
  | { readonly kind: 'conflict'; readonly action: ConflictAction }
  | { readonly kind: 'refused'; readonly reason: RenewalRefusal };

export type RenewalRefusal =
  /** An earlier conflict stands. */
  | 'DEVICE_SUSPENDED'
  /** The newest certificate expired longer ago than the grace. */
  | 'RENEWAL_TOO_LATE'
  /** The key is certified for another device. */
  | 'KEY_IN_USE';

/**
 * The rule of DESIGN §7 over facts. Each certificate has one parent, the newest before it, and a second answer for the
 * same key is the first one again. So of two copies of a device the second to renew with a key of its own names a parent
 * that is not the newest any more, whichever copy was first.
 */
export function decideRenewal(
  identity: DeviceIdentity,
  wish: RenewalWish,
  now: number,
  policy: RenewalPolicy,
): RenewalDecision {
  if (identity.suspendedAt !== null) return refused('DEVICE_SUSPENDED');
  const newest = identity.current;
  const isCertified = newest !== null && newest.keyHash === wish.keyHash;
  if (isCertified && newest.expiresAt > now) return { kind: 'same_certificate', certificate: newest };
  if (newest === null || (!isCertified && newest.fingerprint !== wish.parent)) {
    return { kind: 'conflict', action: policy.onConflict };
  }
  const returning = newest.expiresAt <= now;
  if (returning && now >= newest.expiresAt + policy.returnGraceMs) return refused('RENEWAL_TOO_LATE');
  if (wish.keyInUse) return refused('KEY_IN_USE');
  return { kind: 'issue', returning };
}

const refused = (reason: RenewalRefusal): RenewalDecision => ({ kind: 'refused', reason });
