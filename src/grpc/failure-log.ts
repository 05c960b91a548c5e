import { DomainError, type ErrorKind } from '../errors/domain-error.js';
import { LineAllowance } from '../observability/line-allowance.js';
import { type Clock, systemClock } from '../time/clock.js';

/** Injection token of the {@link FailureLog}. */
export const FAILURE_LOG = Symbol('FailureLog');

/** Where failures are written that are somebody's business here; expected refusals are the caller's alone. */
export interface FailureLog {
  /** @param where The RPC or door in which it happened. */
  report(error: unknown, where: string): void;
}

/** Kinds behind which something is wrong with this server rather than with the call. */
const OURS: ReadonlySet<ErrorKind> = new Set(['internal', 'corrupt', 'unavailable']);

/** The part of a logger that is needed. */
export interface ErrorWriter {
  error(fields: object, message: string): void;
}

/** Lines of one failure in one place in a minute: while the store is full or held up, each call of a stranger fails. */
export const FAILURES_A_MINUTE = 10;

/** Writes unexpected failures with their cause, and nothing of the others; of those that repeat it tells how many there were. */
export function failureLog(logger: ErrorWriter, clock: Pick<Clock, 'monotonic'> = systemClock): FailureLog {
  const allowance = new LineAllowance<string>(FAILURES_A_MINUTE, clock, (failure, lines) => {
    logger.error({ failure, lines }, 'calls failed as before; lines were left out');
  });
  return {
    report(error, where) {
      if (error instanceof DomainError && !OURS.has(error.kind)) return;
      if (allowance.mayWrite(`${where} ${nameOf(error)}`))
        logger.error({ err: error, where }, 'a call failed');
    },
  };
}

/** One of a few words: what an error says beyond that may be of a stranger's making. */
function nameOf(error: unknown): string {
  if (error instanceof DomainError) return error.reason;
  return error instanceof Error ? error.constructor.name : typeof error;
}
