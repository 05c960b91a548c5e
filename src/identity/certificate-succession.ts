import type { DeviceCertificate, DeviceIdentity } from './device-identity.js';

/** How long the previous certificate stays admitted once the new one was first admitted, milliseconds (DESIGN §7). */
export const OVERLAP_AFTER_ADMISSION_MS = 60_000;

/** The identity after a new certificate for the same key: the current one becomes the previous one. */
export function withNewCertificate(
  identity: DeviceIdentity,
  issued: DeviceCertificate,
  now: number,
): DeviceIdentity {
  const previous = identity.current !== null && identity.current.expiresAt > now ? identity.current : null;
  return { ...identity, current: issued, previous };
}

/**
 * The identity after nobody collected `fingerprint`: only that certificate is withdrawn, and the one before counts
 * again if it is still alive. `undefined` when nothing is left, so that the identity goes too.
 */
export function withoutCertificate(
  identity: DeviceIdentity,
  fingerprint: string,
  now: number,
): DeviceIdentity | undefined {
  if (identity.current?.fingerprint !== fingerprint) return identity;
  const { previous } = identity;
  if (previous === null || previous.expiresAt <= now) return undefined;
  return { ...identity, current: previous, previous: null };
}

/** The identity once its certificate `fingerprint` was admitted for the first time; the same object if nothing changes. */
export function withFirstAdmission(
  identity: DeviceIdentity,
  fingerprint: string,
  now: number,
): DeviceIdentity {
  const { current } = identity;
  if (current === null || current.fingerprint !== fingerprint || current.firstAdmittedAt !== null)
    return identity;
  return { ...identity, current: { ...current, firstAdmittedAt: now } };
}

/** Until when a certificate of the device is admitted, Unix milliseconds; `undefined` for one it may not use. */
export function admittedUntil(identity: DeviceIdentity, fingerprint: string): number | undefined {
  const { current, previous } = identity;
  if (current?.fingerprint === fingerprint) return current.expiresAt;
  if (previous?.fingerprint !== fingerprint) return undefined;
  const admittedAt = current?.firstAdmittedAt ?? null;
  if (admittedAt === null) return previous.expiresAt;
  return Math.min(previous.expiresAt, admittedAt + OVERLAP_AFTER_ADMISSION_MS);
}
