import { describe, expect, it } from '@jest/globals';
import { DomainError } from '../errors/domain-error.js';
import { ManualClock } from '../time/clock.js';
import { RefusalLimits } from './refusal-limits.js';

describe('RefusalLimits', () => {
  /** When to try again; `undefined` when the source may go on. */
  function retryAfter(limits: RefusalLimits, address: string): number | undefined {
    try {
      limits.require(address);
      return undefined;
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      expect({ kind: error.kind, reason: error.reason }).toEqual({
        kind: 'exhausted',
        reason: 'TOO_MANY_REFUSALS',
      });
      return error.retryAfterMs;
    }
  }

  it('puts off a source that was refused too often, until the minute is over', () => {
    const clock = new ManualClock(1_780_000_000_000);
    const limits = new RefusalLimits(2, clock);
    limits.refused('192.0.2.1');
    clock.advance(20_000);
    expect(retryAfter(limits, '192.0.2.1')).toBeUndefined();
    limits.refused('192.0.2.1');
    expect(retryAfter(limits, '192.0.2.1')).toBe(40_000);
    clock.advance(39_999);
    expect(retryAfter(limits, '192.0.2.1')).toBe(1);
    clock.advance(1);
    expect(retryAfter(limits, '192.0.2.1')).toBeUndefined();
  });

  it('takes a /64 for one source, and leaves others alone', () => {
    const limits = new RefusalLimits(1, new ManualClock(0));
    limits.refused('2001:db8::1');
    expect(retryAfter(limits, '2001:db8::2')).toBe(60_000);
    expect(retryAfter(limits, '2001:db8:0:1::1')).toBeUndefined();
    expect(retryAfter(limits, '192.0.2.1')).toBeUndefined();
  });

  it('remembers so many sources and no more', () => {
    const limits = new RefusalLimits(1, new ManualClock(0));
    for (let i = 0; i < 16_384; i++) limits.refused(`10.0.${i >> 8}.${i & 255}`);
    limits.refused('192.0.2.1');
    expect(retryAfter(limits, '192.0.2.1')).toBeUndefined();
    expect(retryAfter(limits, '10.0.0.1')).toBe(60_000);
  });
});
