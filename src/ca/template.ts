import { DomainError, malformed, wrongState } from '../errors/domain-error.js';
import type { RandomBytes } from '../random/random-bytes.js';
import type { CertificateProfile } from './profiles.js';

/** Everything that a certificate will say, decided before the key is touched. */
export interface CertificateTemplate {
  readonly profile: CertificateProfile;
  /** 16 bytes, the first not zero. */
  readonly serial: Buffer;
  /** Unix milliseconds, whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;
}

/** How long before its issue a certificate starts, for peers whose clock is behind: 60 s. */
export const BACKDATE_MS = 60_000;

const MIN_LIFETIME_MS = 1_000;
const SERIAL_BYTES = 16;

/**
 * A random 128-bit serial number (RFC 5280 §4.1.2.2: positive, at most 20 octets). Drawn again when its first byte is
 * zero, so that it always has 16 octets and one spelling; with the top bit set its DER has 17.
 */
export function randomSerial(randomBytes: RandomBytes): Buffer {
  for (let attempt = 0; attempt < 64; attempt += 1) {
    const serial = randomBytes(SERIAL_BYTES);
    if (serial.length === SERIAL_BYTES && serial[0] !== 0) return serial;
  }
  throw new DomainError('internal', 'RANDOMNESS', 'the source of random numbers is broken');
}

export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * notBefore = issued-at − 60 s, notAfter = issued-at + lifetime, in whole seconds and cut to the CA's own validity.
 * Throws `malformed` LIFETIME below one second, and `wrong_state` CA_NOT_VALID when the CA is not valid at issue.
 */
export function validityOf(issuedAt: number, lifetimeMs: number, ca: Validity | null): Validity {
  if (!Number.isSafeInteger(lifetimeMs) || lifetimeMs < MIN_LIFETIME_MS) {
    throw malformed('LIFETIME', 'a certificate must live for at least one second');
  }
  const notBefore = wholeSeconds(issuedAt - BACKDATE_MS);
  const notAfter = wholeSeconds(issuedAt + lifetimeMs);
  if (!ca) return { notBefore, notAfter };
  if (issuedAt < ca.notBefore || issuedAt >= ca.notAfter) {
    throw wrongState('CA_NOT_VALID', 'the CA is not valid at this time; check the clock, or rotate the CA');
  }
  return { notBefore: Math.max(notBefore, ca.notBefore), notAfter: Math.min(notAfter, ca.notAfter) };
}

const wholeSeconds = (milliseconds: number): number => Math.floor(milliseconds / 1000) * 1000;
