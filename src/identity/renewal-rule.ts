import type { DeviceCertificate, DeviceIdentity } from './device-identity.js';

/** What a renewal conflict does to the device: it is suspended, or only flagged. */
export const CONFLICT_ACTIONS = ['suspend', 'flag'] as const;
export type ConflictAction = (typeof CONFLICT_ACTIONS)[number];

export interface RenewalPolicy {
  /** How long after the expiry of its newest certificate a device may return, milliseconds; 0 turns return off. */
  readonly returnGraceMs: number;
  readonly onConflict: ConflictAction;
  /** When the store was last restored from a backup, Unix milliseconds; null when it never was. */
  readonly restoredAt: number | null;
}

/** What an authentic request asks for. */
export interface RenewalWish {
  /** SHA-256 of the certificate that the device takes for its newest, lower-case hex. */
  readonly parent: string;
  /** SHA-256 of the requested key's SubjectPublicKeyInfo, lower-case hex. */
  readonly keyHash: string;
  /** Whether the requested key is one that another device's certificate is for. */
  readonly keyInUse: boolean;
  /** Whether the store knows of a certificate with the parent's fingerprint, whoever's it is. */
  readonly parentKnown: boolean;
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
 *
 * A store that was restored from a backup has forgotten the renewals that came later. So a device whose newest certificate
 * in the store is from before the restore may name, once, a parent that the store does not know: the certificate it then
 * gets is from after the restore, and a second copy of it meets a conflict as ever.
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
  if (newest === null) return { kind: 'conflict', action: policy.onConflict };
  const isParent = newest.fingerprint === wish.parent || isForgottenParent(newest, wish, policy);
  if (!isCertified && !isParent) return { kind: 'conflict', action: policy.onConflict };
  const returning = newest.expiresAt <= now;
  if (returning && now >= newest.expiresAt + policy.returnGraceMs) return refused('RENEWAL_TOO_LATE');
  if (wish.keyInUse) return refused('KEY_IN_USE');
  return { kind: 'issue', returning };
}

function isForgottenParent(
  newest: DeviceCertificate,
  { parentKnown }: RenewalWish,
  { restoredAt }: RenewalPolicy,
): boolean {
  return restoredAt !== null && newest.issuedAt <= restoredAt && !parentKnown;
}

const refused = (reason: RenewalRefusal): RenewalDecision => ({ kind: 'refused', reason });
