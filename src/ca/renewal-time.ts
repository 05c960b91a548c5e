/** Renewal is due at two thirds of a certificate's life, or up to a sixth of it earlier, so that not all come at once. */

export interface CertificateLife {
  /** Unix milliseconds. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** When renewal is due, Unix milliseconds. `random` is in [0, 1), as of `Math.random`: 0 gives two thirds. */
export function renewalTime({ issuedAt, expiresAt }: CertificateLife, random: number): number {
  return issuedAt + Math.round((expiresAt - issuedAt) * (2 / 3 - random / 6));
}

/** Two thirds of the life: from here on a certificate should be replaced at the next opportunity. */
export const latestRenewalTime = (life: CertificateLife): number => renewalTime(life, 0);
