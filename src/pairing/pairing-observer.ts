import { DomainError } from '../errors/domain-error.js';

/** How a `Pair` call ended; says nothing that its device was not told. */
export type PairingOutcome =
  'requested' | 'refused' | 'malformed' | 'limited' | 'timeout' | 'abandoned' | 'failed';

/** Port to whoever counts; `Metrics` implements it. */
export interface PairingObserver {
  pairingEnded(outcome: PairingOutcome): void;
  pairingDecided(decision: 'approved' | 'rejected' | 'expired'): void;
}

export function outcomeOf(error: unknown): PairingOutcome {
  if (!(error instanceof DomainError)) return 'failed';
  switch (error.kind) {
    case 'unauthenticated':
      return 'refused';
    case 'malformed':
      return 'malformed';
    case 'exhausted':
      return 'limited';
    case 'timeout':
      return 'timeout';
    default:
      return 'failed';
  }
}
