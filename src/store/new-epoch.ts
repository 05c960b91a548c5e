import type { RestoreRecord } from '../database/restore-record.js';
import { encodeRestoreRecord, RESTORE_RECORD_NAME } from '../database/restore-record.js';
import { StoreRow } from '../database/store.entity.js';
import type { Unit } from '../database/unit-of-work.js';
import { endAllOperators } from '../operators/operator-register.js';
import { PairingCodeRow, PairingRequestRow } from '../pairing/pairing.entity.js';

/** What was good when the backup was made, and is no longer. */
export interface EndedByRestore {
  readonly droppedCodes: number;
  readonly droppedRequests: number;
  readonly endedOperators: number;
}

export interface NewEpochOptions {
  /** Ends all operators; the next start finds none, and makes a first admin as on a new store. */
  readonly endOperators: boolean;
}

/**
 * Puts a restored store into quarantine: its new epoch, the record of the restore, no codes and no pending requests, and
 * the entry that says so, which names the last hash before it. The unit must write under the new epoch.
 */
export async function beginNewEpoch(
  unit: Unit,
  restore: RestoreRecord,
  { endOperators }: NewEpochOptions,
): Promise<EndedByRestore> {
  await unit.tables.update(StoreRow, { id: 1 }, { epoch: restore.epoch });
  await unit.secrets.write(RESTORE_RECORD_NAME, encodeRestoreRecord(restore));
  const droppedCodes = await dropCodes(unit);
  const droppedRequests = await dropRequests(unit);
  const endedOperators = endOperators ? await endAllOperators(unit) : 0;
  unit.audit.append({
    actor: 'system',
    source: 'local',
    action: 'store.restored',
    subject: 'store',
    details: {
      backup_epoch: restore.backup.epoch,
      backup_sequence: restore.backup.sequence,
      backup_hash: restore.backup.hash.toString('hex'),
      dropped_codes: droppedCodes,
      dropped_requests: droppedRequests,
      ended_operators: endedOperators,
    },
  });
  return { droppedCodes, droppedRequests, endedOperators };
}

/** Who knows one of them must not pair with it again: it may have been used, spent or withdrawn since. */
async function dropCodes(unit: Unit): Promise<number> {
  const names = await unit.secrets.list('code/');
  for (const name of names) await unit.secrets.delete(name);
  await unit.tables.createQueryBuilder().delete().from(PairingCodeRow).execute();
  return names.length;
}

/** They may have been rejected since. Their rows stay, as those of expired requests, so that the devices are told. */
async function dropRequests(unit: Unit): Promise<number> {
  for (const name of await unit.secrets.list('request/')) await unit.secrets.delete(name);
  const { affected } = await unit.tables.update(
    PairingRequestRow,
    { state: 'pending_approval' },
    { state: 'expired' },
  );
  return affected ?? 0;
}
