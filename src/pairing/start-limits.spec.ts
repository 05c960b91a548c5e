import { describe, expect, it } from '@jest/globals';
import { DomainError } from '../errors/domain-error.js';
import { ManualClock } from '../time/clock.js';
import { StartLimits, type PairingLimits } from './start-limits.js';

const NOW = 1_780_000_000_000;

function limits(part: Partial<PairingLimits> = {}): { limits: StartLimits; clock: ManualClock } {
  const clock = new ManualClock(NOW);
  const all = { startsPerMinutePerAddress: 3, startsPerMinute: 5, handshakes: 4, ...part };
  return { limits: new StartLimits(all, clock), clock };
}

function refusal(act: () => unknown): DomainError {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(DomainError);
    return error as DomainError;
  }
  throw new Error('nothing was refused');
}

describe('StartLimits', () => {
  it('refuses an address that starts too often, and says when to come back', () => {
    const { limits: starts, clock } = limits();
    for (let i = 0; i < 3; i++) starts.begin('192.0.2.1')();
    const error = refusal(() => starts.begin('192.0.2.1'));
    expect(error.reason).toBe('TOO_MANY_STARTS');
    expect(error.retryAfterMs).toBe(20_000);
    clock.advance(20_000);
    starts.begin('192.0.2.1')();
  });

  it('leaves other addresses alone until all together are too many', () => {
    const { limits: starts } = limits();
    for (let i = 0; i < 3; i++) starts.begin('192.0.2.1')();
    starts.begin('192.0.2.2')();
    starts.begin('192.0.2.3')();
    expect(refusal(() => starts.begin('192.0.2.4')).reason).toBe('TOO_MANY_STARTS');
  });

  it('does not charge an address for what the total refused', () => {
    const { limits: starts, clock } = limits({ startsPerMinute: 1 });
    starts.begin('192.0.2.1')();
    for (let i = 0; i < 10; i++) refusal(() => starts.begin('192.0.2.2'));
    clock.advance(60_000);
    starts.begin('192.0.2.2')();
  });

  it('bounds handshakes in progress and gives a slot back only once', () => {
    const { limits: starts } = limits({ handshakes: 1 });
    const end = starts.begin('192.0.2.1');
    expect(refusal(() => starts.begin('192.0.2.2')).reason).toBe('TOO_MANY_HANDSHAKES');
    end();
    end();
    starts.begin('192.0.2.2');
    expect(refusal(() => starts.begin('192.0.2.3')).reason).toBe('TOO_MANY_HANDSHAKES');
  });

  it('counts a whole IPv6 /64 as one address', () => {
    const { limits: starts } = limits();
    for (let i = 0; i < 3; i++) starts.begin(`2001:db8::${i.toString(16)}`)();
    expect(refusal(() => starts.begin('2001:db8::ffff')).reason).toBe('TOO_MANY_STARTS');
    starts.begin('2001:db8:0:1::1')();
  });
});
