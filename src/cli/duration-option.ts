import { ClientError } from '../client/client-error.js';
import { parseDuration } from '../config/values.js';

interface DurationRange {
  readonly least: string;
  readonly most: string;
}

/** What setTimeout takes is a little more: 2^31 − 1 ms. */
const TIMEOUT: DurationRange = { least: '1ms', most: '24d' };
/** A hundred years: a date that far off can still be counted in milliseconds. */
const AGE: DurationRange = { least: '0s', most: '36500d' };

/** Milliseconds that a timer can wait. Throws a usage error that names the option. */
export const readTimeout = (option: string, text: string): number => readDuration(option, text, TIMEOUT);

/** Milliseconds between two times. Throws a usage error that names the option. */
export const readAge = (option: string, text: string): number => readDuration(option, text, AGE);

/** An age as the protocol carries it. Throws a usage error that names the option. */
export function readProtoAge(option: string, text: string): { seconds: bigint; nanos: number } {
  const milliseconds = readAge(option, text);
  return { seconds: BigInt(Math.floor(milliseconds / 1000)), nanos: (milliseconds % 1000) * 1_000_000 };
}

function readDuration(option: string, text: string, { least, most }: DurationRange): number {
  const milliseconds = durationOf(text);
  if (milliseconds === undefined) {
    throw new ClientError('usage', 'DURATION', `${option} ${JSON.stringify(text)} is no duration`, {
      advice: 'write it with its unit: ms, s, m, h or d, for example 10s or 1h30m',
    });
  }
  if (milliseconds >= parseDuration(least) && milliseconds <= parseDuration(most)) return milliseconds;
  throw new ClientError('usage', 'DURATION', `${option} ${JSON.stringify(text)} is out of range`, {
    advice: `write a duration from ${least} to ${most}`,
  });
}

function durationOf(text: string): number | undefined {
  try {
    return parseDuration(text);
  } catch {
    return undefined;
  }
}
