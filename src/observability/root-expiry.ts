import type { CertificateAuthority } from '../ca/certificate-authority.js';
import type { RootState } from '../ca/root-record.js';

export interface RootExpiry {
  /** 40 hex digits. */
  readonly keyId: string;
  readonly state: RootState;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/** When the root that signs ends, Unix milliseconds. */
export const rootExpiresAt = ({ roots }: Pick<CertificateAuthority, 'roots'>): number =>
  roots.signing.issuer.certificate.notAfter;

/** All roots, the one that signs first. */
export const rootExpiries = ({ roots }: Pick<CertificateAuthority, 'roots'>): RootExpiry[] =>
  roots.all.map(({ state, issuer }) => ({
    keyId: issuer.keyId,
    state,
    expiresAt: issuer.certificate.notAfter,
  }));
