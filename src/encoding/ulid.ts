import type { RandomBytes } from '../random/random-bytes.js';
import type { Clock } from '../time/clock.js';
import { crockfordCharacter, encodeCrockford } from './crockford.js';

const TIME_CHARACTERS = 10;
const RANDOM_BYTES = 10;

/** A new ULID, 26 upper-case characters: 48 bits of Unix milliseconds, then 80 random bits; sorts by time. */
export function newUlid(clock: Pick<Clock, 'now'>, random: RandomBytes): string {
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
