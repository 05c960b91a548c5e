import { describe, expect, it } from '@jest/globals';
import type { AuditEntry } from '../audit/audit-entry.js';
import { chainEndAfter, chainEntry, EMPTY_CHAIN, recordEvent } from '../audit/audit-chain.js';
import { type LaterDecisions, LaterDecisionsReader } from './withdrawals.js';

const EPOCH = 1_790_000_000_000;
const DEVICE = 'device/01K9ZAYT3M4V5W6X7Y8Z9ABCDE';

/** A chain of these actions, each about this subject. */
function chain(...actions: readonly (readonly [action: string, subject: string])[]): AuditEntry[] {
  let end = EMPTY_CHAIN;
  return actions.map(([action, subject]) => {
    const event = recordEvent({ actor: 'operator/7zk4m9qx', source: '192.0.2.10', action, subject });
    const entry = chainEntry(end, EPOCH, EPOCH, event);
    end = chainEndAfter(end, entry);
    return entry;
  });
}

function decisionsOf(backupSequence: number, entries: readonly AuditEntry[]): LaterDecisions {
  const reader = new LaterDecisionsReader(backupSequence);
  for (const entry of entries) reader.take(entry);
  return reader.decisions();
}

describe('what came after a backup', () => {
  it('names devices that were approved as long as they are not revoked', () => {
    const revoked = chain(['pairing.approved', DEVICE], ['device.revoked', DEVICE]);
    expect(decisionsOf(0, revoked)).toMatchObject({
      approvedDevices: [],
      withdrawals: [{ sequence: 2, action: 'device.revoked', redo: 'revoke' }],
    });
    const again = chain(
      ['pairing.approved', DEVICE],
      ['device.revoked', DEVICE],
      ['device.cleared', DEVICE],
      ['pairing.approved', DEVICE],
    );
    expect(decisionsOf(0, again).approvedDevices).toEqual([DEVICE]);
    expect(decisionsOf(2, revoked)).toEqual({ approvedDevices: [], withdrawals: [] });
  });

  it('names changes of the keys of the store, which a restore undoes', () => {
    const entries = chain(
      ['store.rekeyed', 'store'],
      ['store.data_rekeyed', 'store'],
      ['store.backed_up', 'store'],
    );
    expect(decisionsOf(0, entries).withdrawals).toMatchObject([
      { action: 'store.rekeyed', redo: 'by_hand' },
      { action: 'store.data_rekeyed', redo: 'by_hand' },
    ]);
  });
});
