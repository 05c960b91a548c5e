import { describe, expect, it } from '@jest/globals';
import { DomainError } from '../errors/domain-error.js';
import { ManualClock } from '../time/clock.js';
import { failureLog, FAILURES_A_MINUTE } from './failure-log.js';

describe('failureLog', () => {
  it('writes what is ours, a bounded number of times, and then how often it was', () => {
    const clock = new ManualClock(0);
    const lines: object[] = [];
    const log = failureLog({ error: (fields) => lines.push(fields) }, clock);
    const full = new DomainError('unavailable', 'STORE_FULL', 'no room');
    log.report(new DomainError('malformed', 'INVALID_CSR', 'theirs'), '/Pair');
    for (let i = 0; i < FAILURES_A_MINUTE + 7; i++) log.report(full, '/Pair');
    log.report(full, '/Renew');
    log.report(new TypeError('ours'), '/Pair');
    expect(lines).toHaveLength(FAILURES_A_MINUTE + 2);
    clock.advance(60_000);
    log.report(full, '/Pair');
    expect(lines.slice(-2)).toEqual([
      { failure: '/Pair STORE_FULL', lines: 7 },
      { err: full, where: '/Pair' },
    ]);
  });
});
