import { X509Certificate } from 'node:crypto';
import { sha256 } from './transcript.js';

/**
 * SHA-256 of a certificate's SubjectPublicKeyInfo, 32 bytes: the hash by which links and operator tokens name a root.
 * Throws when `der` is no certificate.
 */
export function certificateKeyHash(der: Uint8Array): Buffer {
  return sha256(new X509Certificate(der).publicKey.export({ type: 'spki', format: 'der' }));
}

/** Whether one of `certificates` (DER) has the pinned key. What does not parse does not match. */
export function holdsPinnedKey(certificates: readonly Uint8Array[], pin: Uint8Array): boolean {
  return certificates.some((der) => {
    try {
      return certificateKeyHash(der).equals(pin);
    } catch {
      return false;
    }
  });
}
