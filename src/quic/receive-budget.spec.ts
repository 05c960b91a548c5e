import { describe, expect, it } from '@jest/globals';
import { isOverBudget } from './receive-budget.js';

const KIB = 1024;
const MIB = 1024 * KIB;

const traffic = (received: number, others: { sent?: number; read?: number } = {}) => ({
  received,
  sent: 0,
  read: 0,
  ...others,
});
const handshaking = { established: false, maxUnreadBytes: MIB, ageMs: 0 };
const established = { established: true, maxUnreadBytes: MIB, ageMs: 0 };

describe('isOverBudget', () => {
  it('leaves a handshake room for its flights, not for a buffer full of gaps', () => {
    expect(isOverBudget(traffic(64 * KIB), handshaking)).toBe(false);
    expect(isOverBudget(traffic(64 * KIB + 1), handshaking)).toBe(true);
    expect(isOverBudget(traffic(64 * KIB + 1, { sent: MIB, read: MIB }), handshaking)).toBe(true);
  });

  it('explains what streams carried, twice, and what may wait unread', () => {
    expect(isOverBudget(traffic(3 * MIB), established)).toBe(false);
    expect(isOverBudget(traffic(3 * MIB + 1), established)).toBe(true);
    expect(isOverBudget(traffic(203 * MIB, { read: 100 * MIB }), established)).toBe(false);
    expect(isOverBudget(traffic(203 * MIB + 1, { read: 100 * MIB }), established)).toBe(true);
  });

  it('explains acknowledgements of what we sent', () => {
    expect(isOverBudget(traffic(28 * MIB, { sent: 100 * MIB }), established)).toBe(false);
    expect(isOverBudget(traffic(28 * MIB + 1, { sent: 100 * MIB }), established)).toBe(true);
  });

  it('lets a quiet connection send its pings for a day', () => {
    const day = 86_400_000;
    const ping = 60;
    expect(isOverBudget(traffic((day / 1000) * ping), { ...established, ageMs: day })).toBe(false);
  });
});
