import { crockfordCharacter, encodeCrockford } from '../encoding/crockford.js';
import type { RandomBytes } from '../random/random-bytes.js';
import type { Clock } from '../time/clock.js';

const TIME_CHARACTERS = 10;
const RANDOM_BYTES = 10;

/**
 * Whether `text` is a device id as it travels: a canonical ULID, 26 upper-case characters of Crockford base 32, the
 * first 0 to 7 (128 bits fill 25 and three fifths of them).
 */
export function isDeviceId(text: string): boolean {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text);
}

/** A new device id: 48 bits of Unix milliseconds, then 80 random bits. */
export function newDeviceId(clock: Pick<Clock, 'now'>, random: RandomBytes): string {
  return encodeTime(clock.now()) + encodeCrockford(random(RANDOM_BYTES), 'upper');
}

function encodeTime(milliseconds: number): string {
  if (!Number.isSafeInteger(milliseconds) || milliseconds < 0 || milliseconds >= 2 ** 48) {
    throw new RangeError('the time of a ULID is 48 bits of Unix milliseconds');
  }
  let text = '';
  let rest = milliseconds;
  for (let position = 0; position < TIME_CHARACTERS; position += 1) {
    text = crockfordCharacter(rest % 32, 'upper') + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}
