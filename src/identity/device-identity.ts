import type { IssuedCertificate } from '../ca/issued-certificate.js';

/** What a device may prove itself with; one sealed record, `device/<ULID>`. Its presence is what admits. */
export interface DeviceIdentity {
  readonly deviceId: string;
  readonly clientKind: ClientKind;
  /** What the device said of itself when it paired, at most 64 bytes of UTF-8; may be empty. */
  readonly platform: string;
  /** Ed25519 public key, 32 bytes. */
  readonly identityKey: Buffer;
  readonly pairedAt: number;
  /** The newest certificate; `null` until the first was issued. */
  readonly current: DeviceCertificate | null;
  /** The one before, admitted until 60 s after `current` was first admitted, at most to its own expiry. */
  readonly previous: DeviceCertificate | null;
  /** Set when a conflict suspended the device (DESIGN §7): not admitted until an operator clears it. */
  readonly suspendedAt: number | null;
  /** When a renewal first showed that there are two copies of the device (DESIGN §7); `null` again once cleared. */
  readonly conflictAt: number | null;
}

export const CLIENT_KINDS = ['cli', 'desktop', 'mobile', 'node'] as const;
export type ClientKind = (typeof CLIENT_KINDS)[number];

export interface DeviceCertificate {
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string;
  /**
   * SHA-256 of the certified key's SubjectPublicKeyInfo, lower-case hex; `null` in records of before it was kept. A
   * renewal that asks for this key again is answered with this certificate again.
   */
  readonly keyHash: string | null;
  /** Serial number, lower-case hex of its 16 octets. */
  readonly serial: string;
  /** Unix milliseconds. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** When a connection with it was first admitted; `null` before. */
  readonly firstAdmittedAt: number | null;
}

/** What the registry keeps of a certificate that was just recorded. */
export const deviceCertificate = (
  issued: IssuedCertificate,
): DeviceCertificate & { readonly keyHash: string } => ({
  fingerprint: issued.fingerprint,
  keyHash: issued.keyHash,
  serial: issued.serial,
  issuedAt: issued.issuedAt,
  expiresAt: issued.expiresAt,
  firstAdmittedAt: null,
});
