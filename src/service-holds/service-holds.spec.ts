import { describe, expect, it } from '@jest/globals';
import { type Hold, ServiceHolds } from './service-holds.js';

const QUARANTINE: Hold = { reason: 'TEST_HOLD', stops: ['admission', 'issuance'], message: 'wait' };
const CLOCK: Hold = { reason: 'OTHER_HOLD', stops: ['issuance', 'pruning'], message: 'look at the clock' };

describe('ServiceHolds', () => {
  it('stop the work that they name, and no other, until all of them are lifted', () => {
    const holds = new ServiceHolds();
    expect(() => {
      holds.require('issuance');
      holds.requireNone();
    }).not.toThrow();
    holds.raise(QUARANTINE);
    holds.raise(CLOCK);
    expect(holds.stopping('pairing')).toBeUndefined();
    expect(holds.stopping('pruning')).toBe(CLOCK);
    expect(holds.stopping('issuance')).toBe(QUARANTINE);
    expect(holds.lift('TEST_HOLD')).toBe(true);
    expect(holds.lift('TEST_HOLD')).toBe(false);
    expect(holds.stopping('admission')).toBeUndefined();
    expect(holds.stopping('issuance')).toBe(CLOCK);
    holds.lift('OTHER_HOLD');
    expect(holds.all).toEqual([]);
    expect(holds.stopping('issuance')).toBeUndefined();
  });

  it('are there and gone as what is watched says at that moment', () => {
    const holds = new ServiceHolds();
    let now: Hold | undefined;
    holds.watch(() => now);
    expect(holds.stopping('issuance')).toBeUndefined();
    now = CLOCK;
    expect(holds.stopping('issuance')).toBe(CLOCK);
    expect(() => {
      holds.requireNone();
    }).toThrow(expect.objectContaining({ reason: 'OTHER_HOLD' }));
    now = undefined;
    expect(holds.all).toEqual([]);
  });

  it('tell devices to come again, and operators what to do', () => {
    const holds = new ServiceHolds();
    holds.raise(QUARANTINE);
    const error = { reason: 'TEST_HOLD', message: 'wait' };
    expect(() => {
      holds.require('issuance');
    }).toThrow(expect.objectContaining({ ...error, kind: 'unavailable', retryAfterMs: 60_000 }));
    expect(() => {
      holds.require('issuance', 'wrong_state');
    }).toThrow(expect.objectContaining({ ...error, kind: 'wrong_state', retryAfterMs: undefined }));
    expect(() => {
      holds.requireNone();
    }).toThrow(expect.objectContaining(error));
  });
});
