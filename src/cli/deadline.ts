import { ClientError } from '../client/client-error.js';
import { parseDuration } from '../config/values.js';
import type { CliContext } from './cli-context.js';

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
  const timeoutMs = readDuration('--timeout', text);
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

/** setTimeout's own bound, 24.8 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Milliseconds of `10m`, `1h30m`. Throws a usage error that names the option. */
export function readDuration(option: string, text: string): number {
  const milliseconds = durationOf(text);
  if (milliseconds !== undefined && milliseconds > 0 && milliseconds <= LONGEST_TIMER_MS) return milliseconds;
  throw new ClientError('usage', 'DURATION', `${option} ${JSON.stringify(text)} is no duration`, {
    advice: 'write it with its unit: ms, s, m, h or d, for example 10s or 1h30m',
  });
}

function durationOf(text: string): number | undefined {
  try {
    return parseDuration(text);
  } catch {
    return undefined;
  }
}

/** The same as the protocol carries it. */
export function readProtoDuration(option: string, text: string): { seconds: bigint; nanos: number } {
  const milliseconds = readDuration(option, text);
  return { seconds: BigInt(Math.floor(milliseconds / 1000)), nanos: (milliseconds % 1000) * 1_000_000 };
}
