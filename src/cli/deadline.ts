import { ClientError } from '../client/client-error.js';
import type { CliContext } from './cli-context.js';
import { readTimeout } from './duration-option.js';

export interface Deadline {
  /** Aborts at Ctrl-C and when the time has passed, with a `ClientError` as its reason. */
  readonly signal: AbortSignal;
  /** `undefined` without `--timeout`. */
  readonly timeoutMs: number | undefined;
  /** Ends the timer, so that it does not keep the process. */
  clear(): void;
}

/** What `--timeout` says, together with Ctrl-C. */
export function startDeadline(context: CliContext, text: string | undefined): Deadline {
  const interruption = context.interruption();
  if (text === undefined) return { signal: interruption, timeoutMs: undefined, clear: () => undefined };
  const timeoutMs = readTimeout('--timeout', text);
  const passed = new AbortController();
  const timer = setTimeout(() => {
    passed.abort(new ClientError('timeout', 'TIMEOUT', `${text} have passed`));
  }, timeoutMs);
  return {
    signal: AbortSignal.any([interruption, passed.signal]),
    timeoutMs,
    clear: () => {
      clearTimeout(timer);
    },
  };
}
