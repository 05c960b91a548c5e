import { describe, expect, it } from '@jest/globals';
import { DomainError } from '../errors/domain-error.js';
import { ManualClock } from '../time/clock.js';
import { RenewalAllowance } from './renewal-allowance.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** When to try again; `undefined` when the device may have a certificate. */
function retryAfter(allowance: RenewalAllowance, deviceId: string): number | undefined {
  try {
    allowance.require(deviceId);
    return undefined;
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    expect({ kind: error.kind, reason: error.reason }).toEqual({
      kind: 'exhausted',
      reason: 'TOO_MANY_RENEWALS',
    });
    return error.retryAfterMs;
  }
}

describe('RenewalAllowance', () => {
  it('gives a device its share of an hour, and gives it back as time goes by', () => {
    const clock = new ManualClock(0);
    const allowance = new RenewalAllowance(6, DAY_MS, clock);
    for (let i = 0; i < 6; i++) {
      expect(retryAfter(allowance, 'a')).toBeUndefined();
      allowance.spend('a');
    }
    expect(retryAfter(allowance, 'a')).toBe(10 * MINUTE_MS);
    expect(retryAfter(allowance, 'b')).toBeUndefined();
    clock.advance(10 * MINUTE_MS);
    expect(retryAfter(allowance, 'a')).toBeUndefined();
    allowance.spend('a');
    expect(retryAfter(allowance, 'a')).toBe(10 * MINUTE_MS);
  });

  it('never keeps short certificates from being renewed in time', () => {
    const clock = new ManualClock(0);
    const allowance = new RenewalAllowance(1, 3_000, clock);
    for (let i = 0; i < 2_000; i++) {
      expect(retryAfter(allowance, 'a')).toBeUndefined();
      allowance.spend('a');
      clock.advance(2_000);
    }
  });

  it('still knows after an hour what has not been forgiven', () => {
    const clock = new ManualClock(0);
    const allowance = new RenewalAllowance(2, DAY_MS, clock);
    allowance.spend('a');
    clock.advance(HOUR_MS - 10 * MINUTE_MS);
    for (let i = 0; i < 2; i++) allowance.spend('b');
    clock.advance(10 * MINUTE_MS);
    allowance.spend('c');
    expect(retryAfter(allowance, 'b')! / MINUTE_MS).toBeCloseTo(20);
    expect(retryAfter(allowance, 'a')).toBeUndefined();
  });
});
