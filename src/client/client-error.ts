/** How a client's work may end badly; the `palyra` command has one exit code for each (docs/protocol.md, "Settings, files, commands"). */
export type ClientFailure = 'failed' | 'usage' | 'refused' | 'unreachable' | 'timeout' | 'interrupted';

export interface ClientErrorOptions {
  /** One line that says what to do about it. */
  readonly advice?: string | undefined;
  /** When the same may be tried again, milliseconds from now. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A failure that this side found out: nothing that the server answered (that is `RemoteError`). Holds no secret. */
export class ClientError extends Error {
  readonly advice: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(
    readonly failure: ClientFailure,
    readonly reason: string,
    message: string,
    options: ClientErrorOptions = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'ClientError';
    this.advice = options.advice;
    this.retryAfterMs = options.retryAfterMs;
  }
}

export const interrupted = (): ClientError => new ClientError('interrupted', 'INTERRUPTED', 'interrupted');

/** What a client throws when `signal` stopped it: the signal's own reason (a passed deadline), else an interruption. */
export function stoppedBy(signal: AbortSignal): ClientError {
  return signal.reason instanceof ClientError ? signal.reason : interrupted();
}
