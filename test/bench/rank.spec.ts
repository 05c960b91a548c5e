import { describe, expect, it } from '@jest/globals';
import { compareRanks } from '../../bench/rank.js';

const upTo = (count: number, step = 1): number[] => Array.from({ length: count }, (_, index) => index * step);

describe('the rank statistic of times', () => {
  it('is 0.5 for the same values, and for values between them', () => {
    expect(compareRanks(upTo(40), upTo(40))).toEqual({ auc: 0.5, z: 0 });
    expect(compareRanks([1, 4, 5, 8], [2, 3, 6, 7]).auc).toBe(0.5);
  });

  it('is 1 or 0 when one sample lies above the other', () => {
    const [low, high] = [upTo(50), upTo(50).map((value) => value + 100)];
    expect(compareRanks(low, high).auc).toBe(1);
    expect(compareRanks(high, low).auc).toBe(0);
    expect(compareRanks(low, high).z).toBeGreaterThan(8);
  });

  it('counts ties half, pair by pair', () => {
    const [base, others] = [
      [1, 2, 2, 3],
      [2, 3, 3],
    ];
    const pairs = base.flatMap((one) => others.map((other) => (other > one ? 1 : other === one ? 0.5 : 0)));
    const mean = pairs.reduce((sum: number, pair) => sum + pair, 0) / pairs.length;
    expect(compareRanks(base, others).auc).toBeCloseTo(mean, 12);
  });

  it('gives the deviations of the normal approximation, also with ties', () => {
    // U = 9 of 12 pairs; variance with the ties of 2 (three times) and 3 (three times).
    const { z } = compareRanks([1, 2, 2, 3], [2, 3, 3]);
    const variance = ((4 * 3) / 12) * (8 - (2 * (27 - 3)) / (7 * 6));
    expect(z).toBeCloseTo((9 - 6) / Math.sqrt(variance), 12);
  });
});
