import { DomainError, type ErrorKind } from '../errors/domain-error.js';

/** How a `Pair` call ended; says nothing that its device was not told. */
export type PairingOutcome =
  'requested' | 'refused' | 'malformed' | 'limited' | 'timeout' | 'abandoned' | 'failed';

/** Port to whoever counts; `Metrics` implements it. */
export interface PairingObserver {
  pairingEnded(outcome: PairingOutcome): void;
  pairingDecided(decision: 'approved' | 'rejected' | 'expired'): void;
}

const OUTCOMES: Partial<Record<ErrorKind, PairingOutcome>> = {
  unauthenticated: 'refused',
  malformed: 'malformed',
  exhausted: 'limited',
  timeout: 'timeout',
};

export function outcomeOf(error: unknown): PairingOutcome {
  return error instanceof DomainError ? (OUTCOMES[error.kind] ?? 'failed') : 'failed';
}
