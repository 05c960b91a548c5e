import { describe, expect, it } from '@jest/globals';
import { DEFAULT_QUIC_SETTINGS } from './quic-settings.js';
import { judgeBudget } from './receive-budget.js';

const KIB = 1024;
const MIB = 1024 * KIB;

const bounds = { maxUnreadBytes: MIB, maxOverheadBytes: 8 * MIB };
const handshaking = { ...bounds, established: false };
const established = { ...bounds, established: true };

describe('judgeBudget', () => {
  it('leaves a handshake room for its flights, not for a buffer full of gaps', () => {
    expect(judgeBudget({ received: 32 * KIB, read: 0 }, handshaking)).toBe('within');
    expect(judgeBudget({ received: 32 * KIB + 1, read: 0 }, handshaking)).toBe('over');
    expect(judgeBudget({ received: 32 * KIB + 1, read: MIB }, handshaking)).toBe('over');
  });

  it('takes what streams carry and what may wait unread, and so much besides', () => {
    expect(judgeBudget({ received: 9 * MIB, read: 0 }, established)).toBe('within');
    expect(judgeBudget({ received: 9 * MIB + 1, read: 0 }, established)).toBe('spent');
    expect(judgeBudget({ received: 11 * MIB, read: 0 }, established)).toBe('spent');
    expect(judgeBudget({ received: 11 * MIB + 1, read: 0 }, established)).toBe('over');
  });

  it('does not let it grow with what streams carry', () => {
    const read = 1_000 * MIB;
    expect(judgeBudget({ received: read + 9 * MIB, read }, established)).toBe('within');
    expect(judgeBudget({ received: read + 9 * MIB + 1, read }, established)).toBe('spent');
    expect(judgeBudget({ received: read + 11 * MIB + 1, read }, established)).toBe('over');
  });

  it('lets a connection that only waits send a ping every ten seconds for days', () => {
    const pings = (3 * 86_400) / 10;
    const usual = { ...DEFAULT_QUIC_SETTINGS, established: true };
    expect(judgeBudget({ received: pings * 60, read: 0 }, usual)).toBe('within');
  });
});
