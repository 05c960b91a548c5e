import { type VerifiedCsr, verifyCsr, verifyCsrOnPool } from '../ca/csr.js';
import { malformed } from '../errors/domain-error.js';

/**
 * A device's PKCS#10 request: what `verifyCsr` checks, and that its key is not the identity key itself. A certificate key
 * is in use on every connection and dies within a day; with the identity key under it, whoever steals it could renew for
 * ever. Throws `malformed` with CERTIFICATE_KEY_IS_IDENTITY or the reasons of `verifyCsr`.
 */
export function verifyDeviceCsr(der: Uint8Array, identityKey: Buffer): VerifiedCsr {
  return withKeyOfItsOwn(verifyCsr(der), identityKey);
}

/** {@link verifyDeviceCsr} with the signature verified on libuv's pool; rejects as it throws. */
export async function verifyDeviceCsrOnPool(der: Uint8Array, identityKey: Buffer): Promise<VerifiedCsr> {
  return withKeyOfItsOwn(await verifyCsrOnPool(der), identityKey);
}

function withKeyOfItsOwn(csr: VerifiedCsr, identityKey: Buffer): VerifiedCsr {
  if (csr.algorithm === 'ed25519' && csr.spki.subarray(-identityKey.length).equals(identityKey)) {
    throw malformed(
      'CERTIFICATE_KEY_IS_IDENTITY',
      'the key of the request is the identity key; make a key of its own for the certificate',
    );
  }
  return csr;
}
