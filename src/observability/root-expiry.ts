import { X509Certificate } from 'node:crypto';
import type { CertificateAuthority } from '../ca/certificate-authority.js';

/** When the root that signs ends, Unix milliseconds. */
export function rootExpiresAt(authority: Pick<CertificateAuthority, 'signingRoot'>): number {
  return Date.parse(new X509Certificate(authority.signingRoot).validTo);
}
