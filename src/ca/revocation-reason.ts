/**
 * CRLReason (RFC 5280 §5.3.1), those that are given here. When none is known the field is left out, as the RFC wants it
 * instead of `unspecified`.
 */
export const REVOCATION_REASON_CODE = {
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
} as const;

export type RevocationReason = keyof typeof REVOCATION_REASON_CODE;

export const REVOCATION_REASONS = Object.keys(REVOCATION_REASON_CODE) as readonly RevocationReason[];

/** `undefined` for a number that is none of ours. */
export function revocationReasonOf(code: number): RevocationReason | undefined {
  return REVOCATION_REASONS.find((reason) => REVOCATION_REASON_CODE[reason] === code);
}
