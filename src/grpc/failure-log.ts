import { DomainError, type ErrorKind } from '../errors/domain-error.js';

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

/** Writes unexpected failures with their cause, and nothing of the others. */
export function failureLog(logger: ErrorWriter): FailureLog {
  return {
    report(error, where) {
      if (!(error instanceof DomainError) || OURS.has(error.kind)) {
        logger.error({ err: error, where }, 'a call failed');
      }
    },
  };
}
