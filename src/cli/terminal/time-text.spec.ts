import { describe, expect, it } from '@jest/globals';
import { relativeText, timeText } from './time-text.js';

const NOW = Date.UTC(2026, 10, 23, 16, 0, 0);

describe('time text', () => {
  it.each([
    [600_000, 'in 10 min'],
    [-3 * 3_600_000, '3 h ago'],
    [0, 'in 0 s'],
    [90_000, 'in 90 s'],
    [36 * 3_600_000, 'in 36 h'],
    [8 * 86_400_000, 'in 8 d'],
  ])('%d ms away is %s', (difference, expected) => {
    expect(relativeText(new Date(NOW + difference), NOW)).toBe(expected);
  });

  it('gives the time in UTC, and a dash for none', () => {
    expect(timeText(new Date(NOW + 600_000), NOW)).toBe('2026-11-23 16:10:00 UTC (in 10 min)');
    expect(timeText(undefined, NOW)).toBe('-');
  });
});
