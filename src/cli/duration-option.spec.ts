import { describe, expect, it } from '@jest/globals';
import { readAge, readProtoAge, readTimeout } from './duration-option.js';

const DAY_MS = 86_400_000;

/** What the user is told. */
function refusalOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    const { failure, reason, message, advice } = error as Record<string, unknown>;
    return { failure, reason, message, advice };
  }
}

describe('durations of options', () => {
  it('may be years for an age, which no timer has to wait for', () => {
    expect(readAge('--max-age', '30d')).toBe(30 * DAY_MS);
    expect(readAge('--min-age', '0s')).toBe(0);
    expect(readProtoAge('--max-age', '36500d')).toEqual({ seconds: 3_153_600_000n, nanos: 0 });
    expect(readProtoAge('--max-age', '1s5ms')).toEqual({ seconds: 1n, nanos: 5_000_000 });
  });

  it('are at most what a timer takes for a timeout', () => {
    expect(readTimeout('--timeout', '1ms')).toBe(1);
    expect(readTimeout('--timeout', '24d')).toBeLessThan(2 ** 31);
  });

  it.each([
    ['--timeout', '0s', readTimeout, 'from 1ms to 24d'],
    ['--timeout', '25d', readTimeout, 'from 1ms to 24d'],
    ['--max-age', '36501d', readAge, 'from 0s to 36500d'],
    ['--max-age', '999999999999d', readAge, 'from 0s to 36500d'],
  ])('say what is allowed for %s %s', (option, text, read, range) => {
    expect(refusalOf(() => read(option, text))).toEqual({
      failure: 'usage',
      reason: 'DURATION',
      message: `${option} "${text}" is out of range`,
      advice: `write a duration ${range}`,
    });
  });

  it.each(['', '10', 'soon', '-1s', '1 h'])('are named when %j is none', (text) => {
    expect(refusalOf(() => readAge('--min-age', text))).toMatchObject({
      failure: 'usage',
      reason: 'DURATION',
      message: `--min-age ${JSON.stringify(text)} is no duration`,
      advice: expect.stringContaining('1h30m'),
    });
  });
});
