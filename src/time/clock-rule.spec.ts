import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  clockDoubt,
  type ClockReading,
  MAX_BEHIND_MS,
  MAX_JUMP_MS,
  nextReference,
  REFERENCE_LIFE_MS,
} from './clock-rule.js';

const START: ClockReading = { wallMs: 1_780_000_000_000, monotonicMs: 5_000 };
const DAY_MS = 86_400_000;

/** Both clocks `passedMs` later, the wall clock set by `stepMs` meanwhile. */
const later = (passedMs: number, stepMs = 0, from = START): ClockReading => ({
  wallMs: from.wallMs + passedMs + stepMs,
  monotonicMs: from.monotonicMs + passedMs,
});

const duration = fc.integer({ min: 0, max: 3650 * DAY_MS });

describe('the clock', () => {
  it('is believed while both clocks go alike, however long', () => {
    fc.assert(
      fc.property(duration, (passed) => {
        expect(clockDoubt(later(passed), START, START.wallMs)).toBeUndefined();
      }),
    );
  });

  it('is not believed once it moved by more than an hour against the monotonic clock, either way', () => {
    fc.assert(
      fc.property(duration, fc.integer({ min: -10 * DAY_MS, max: 10 * DAY_MS }), (passed, step) => {
        const doubt = clockDoubt(later(passed, step), START, 0);
        expect(doubt).toEqual(Math.abs(step) > MAX_JUMP_MS ? { kind: 'jumped', byMs: step } : undefined);
      }),
    );
    expect(clockDoubt(later(1, MAX_JUMP_MS), START, 0)).toBeUndefined();
    expect(clockDoubt(later(1, -MAX_JUMP_MS - 1), START, 0)?.kind).toBe('jumped');
  });

  it('is not believed more than five minutes behind what was audited', () => {
    fc.assert(
      fc.property(fc.integer({ min: -DAY_MS, max: DAY_MS }), (ahead) => {
        const doubt = clockDoubt(START, START, START.wallMs + ahead);
        expect(doubt).toEqual(ahead > MAX_BEHIND_MS ? { kind: 'behind', byMs: ahead } : undefined);
      }),
    );
    expect(clockDoubt(START, START, START.wallMs + MAX_BEHIND_MS)).toBeUndefined();
    expect(clockDoubt(START, START, START.wallMs + MAX_BEHIND_MS + 1)?.kind).toBe('behind');
  });

  it('is believed again when it comes back', () => {
    fc.assert(
      fc.property(duration, fc.integer({ min: MAX_JUMP_MS + 1, max: 10 * DAY_MS }), (passed, step) => {
        const away = later(passed, step);
        expect(clockDoubt(away, START, START.wallMs)).toBeDefined();
        expect(clockDoubt(later(1_000, -step, away), START, START.wallMs)).toBeUndefined();
      }),
    );
  });
});

describe('the reference', () => {
  it('stays for an hour, so that a jump in small steps is one', () => {
    let reference = START;
    let now = START;
    let doubted = false;
    for (let step = 0; step < 10 && !doubted; step += 1) {
      now = later(60_000, 10 * 60_000, now);
      doubted = clockDoubt(now, reference, 0) !== undefined;
      if (!doubted) reference = nextReference(now, reference);
    }
    expect(doubted).toBe(true);
    expect(reference).toBe(START);
  });

  it('moves on after that, so that corrections of months do not add up', () => {
    let reference = START;
    let now = START;
    for (let day = 0; day < 365; day += 1) {
      now = later(DAY_MS, 60_000, now);
      expect(clockDoubt(now, reference, now.wallMs)).toBeUndefined();
      reference = nextReference(now, reference);
      expect(reference).toBe(now);
    }
    expect(nextReference(later(REFERENCE_LIFE_MS - 1), START)).toBe(START);
  });
});
