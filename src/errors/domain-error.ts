/**
 * The kinds of failure the domain knows. Each is mapped once to a gRPC status (`src/grpc/status.ts`) and once to a
 * node RPC error code (`src/quic/`); nothing else in the code chooses a status.
 */
export type ErrorKind =
  | 'malformed'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'already_exists'
  | 'wrong_state'
  | 'conflict'
  | 'exhausted'
  | 'unavailable'
  | 'timeout'
  | 'corrupt'
  | 'internal';

export interface DomainErrorOptions {
  /** What really happened, for the log; never shown to the caller. */
  readonly cause?: unknown;
  /** With `exhausted` and `unavailable`: when to try again, in milliseconds. */
  readonly retryAfterMs?: number;
}

/**
 * A failure that a caller may see. `message` is public text that says what to do and holds no secret; `reason` is the
 * machine-readable word for it (`UPPER_SNAKE_CASE`, as in `google.rpc.ErrorInfo`).
 */
export class DomainError extends Error {
  readonly retryAfterMs: number | undefined;

  constructor(
    readonly kind: ErrorKind,
    readonly reason: string,
    message: string,
    options: DomainErrorOptions = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'DomainError';
    this.retryAfterMs = options.retryAfterMs;
  }
}

export const malformed = (reason: string, message: string, cause?: unknown): DomainError =>
  new DomainError('malformed', reason, message, { cause });

export const wrongState = (reason: string, message: string): DomainError =>
  new DomainError('wrong_state', reason, message);

export const notFound = (reason: string, message: string): DomainError =>
  new DomainError('not_found', reason, message);
