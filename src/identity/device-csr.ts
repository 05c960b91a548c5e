import { type VerifiedCsr, verifyCsr } from '../ca/csr.js';
import { malformed } from '../errors/domain-error.js';

/**
 * A device's PKCS#10 request: what `verifyCsr` checks, and that its key is not the identity key itself. A certificate key
 * is in use on every connection and dies within a day; with the identity key under it, whoever steals it could renew for
 * ever. Throws `malformed` with CERTIFICATE_KEY_IS_IDENTITY or the reasons of `verifyCsr`.
 */
export function verifyDeviceCsr(der: Uint8Array, identityKey: Buffer): VerifiedCsr {
  const csr = verifyCsr(der);
  if (csr.algorithm === 'ed25519' && csr.spki.subarray(-identityKey.length).equals(identityKey)) {
    throw malformed(
      'CERTIFICATE_KEY_IS_IDENTITY',
      'the key of the request is the identity key; make a key of its own for the certificate',
    );
  }
  return csr;
}
