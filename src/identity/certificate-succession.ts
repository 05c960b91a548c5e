import type { DeviceCertificate, DeviceIdentity } from './device-identity.js';

/** How long the previous certificate stays admitted once the new one was first admitted, milliseconds, unless set otherwise (DESIGN §7). */
export const OVERLAP_AFTER_ADMISSION_MS = 60_000;

/**
 * The identity after a new certificate for the same identity key: the current one becomes the previous one, and the one
 * before that ends now, so that there are never more than two. An expired one stays on record too, since the device comes
 * back with it when nobody collects the new one. Certificates named in `withdrawn` end now and take no place: the
 * newest of the others is the previous one.
 */
export function withNewCertificate(
  identity: DeviceIdentity,
  issued: DeviceCertificate,
  withdrawn: readonly string[] = [],
): DeviceIdentity {
  const kept = [identity.current, identity.previous].find(
    (certificate) => certificate !== null && !withdrawn.includes(certificate.fingerprint),
  );
  return { ...identity, current: issued, previous: kept ?? null };
}

/**
 * The identity after nobody collected `fingerprint`: only that certificate is withdrawn, and the one before is the newest
 * again, alive or to return with. A later approval may have made it the previous one: then it goes from there, or it would
 * be the newest again once the later one is withdrawn too. `undefined` when it was the only one, so that the identity goes
 * as well.
 */
export function withoutCertificate(
  identity: DeviceIdentity,
  fingerprint: string,
): DeviceIdentity | undefined {
  const { current, previous } = identity;
  if (previous?.fingerprint === fingerprint) return { ...identity, previous: null };
  if (current?.fingerprint !== fingerprint) return identity;
  return previous === null ? undefined : { ...identity, current: previous, previous: null };
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
export function admittedUntil(
  identity: DeviceIdentity,
  fingerprint: string,
  overlapMs = OVERLAP_AFTER_ADMISSION_MS,
): number | undefined {
  const { current, previous } = identity;
  if (current?.fingerprint === fingerprint) return current.expiresAt;
  if (previous?.fingerprint !== fingerprint) return undefined;
  const admittedAt = current?.firstAdmittedAt ?? null;
  if (admittedAt === null) return previous.expiresAt;
  return Math.min(previous.expiresAt, admittedAt + overlapMs);
}
