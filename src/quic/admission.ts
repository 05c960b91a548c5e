import type { ChainVerdict } from '../ca/chain-verification.js';
import { admittedUntil, OVERLAP_AFTER_ADMISSION_MS } from '../identity/certificate-succession.js';
import type { DeviceIdentity } from '../identity/device-identity.js';
import type { CloseReason } from './node-connections.js';

/** Checks a device's chain (DER, leaf first) against the roots in force; `now` in Unix milliseconds. Never throws. */
export type DeviceChainVerifier = (chain: readonly Buffer[], now: number) => ChainVerdict;

export type RefusalReason =
  | 'chain'
  | 'resumed_session'
  | 'unknown_device'
  | 'suspended'
  | 'certificate_not_current'
  | 'certificate_expired';

export type AdmissionDecision =
  | {
      readonly admitted: true;
      readonly deviceId: string;
      readonly fingerprint: string;
      /** When the connection has to end, Unix milliseconds, and what it is told then. */
      readonly endsAt: number;
      readonly endReason: CloseReason;
      /** Fingerprint of the device's newest certificate, which this one may be. */
      readonly currentFingerprint: string;
      /** Whether this is the newest certificate and had never been admitted before. */
      readonly first: boolean;
    }
  | {
      readonly admitted: false;
      readonly reason: RefusalReason;
      /** For the log; the peer is told nothing more than "not admitted". */
      readonly detail: string;
    };

/**
 * The whole rule of DESIGN §6 over facts: a certificate is admitted when its chain holds, the device's sealed identity is
 * there and not suspended, and names this certificate as its current one, or as the previous one within the overlap.
 */
export function decideAdmission(
  verdict: ChainVerdict,
  identity: DeviceIdentity | undefined,
  now: number,
  overlapMs = OVERLAP_AFTER_ADMISSION_MS,
): AdmissionDecision {
  if (!verdict.ok) return refused('chain', verdict.reason);
  if (identity === undefined || identity.deviceId !== verdict.deviceId) {
    return refused('unknown_device', 'no identity with this device id is stored');
  }
  if (identity.suspendedAt !== null) return refused('suspended', 'the device is suspended');
  const until = admittedUntil(identity, verdict.fingerprint, overlapMs);
  if (until === undefined)
    return refused('certificate_not_current', 'another certificate has taken its place');
  const expiresAt = Math.min(verdict.notAfter, certificateExpiry(identity, verdict.fingerprint));
  const endsAt = Math.min(until, expiresAt);
  if (endsAt <= now) {
    return expiresAt <= now
      ? refused('certificate_expired', 'the certificate has expired')
      : refused('certificate_not_current', 'the overlap with the newer certificate is over');
  }
  return {
    admitted: true,
    deviceId: verdict.deviceId,
    fingerprint: verdict.fingerprint,
    endsAt,
    endReason: endsAt < expiresAt ? 'superseded' : 'expired',
    currentFingerprint: identity.current?.fingerprint ?? verdict.fingerprint,
    first: identity.current?.fingerprint === verdict.fingerprint && identity.current.firstAdmittedAt === null,
  };
}

function refused(reason: RefusalReason, detail: string): AdmissionDecision {
  return { admitted: false, reason, detail };
}

function certificateExpiry(identity: DeviceIdentity, fingerprint: string): number {
  const certificate = [identity.current, identity.previous].find(
    (known) => known?.fingerprint === fingerprint,
  );
  return certificate?.expiresAt ?? Number.POSITIVE_INFINITY;
}
