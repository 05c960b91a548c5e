/** Backups, restores and holds on the wire. */
import type { RestoreRecord } from '../database/restore-record.js';
import type {
  BackupStoreResponse,
  ServiceHold,
  StoreRestore,
} from '../generated/palyra/controlplane/v1/backup.js';
import type { Hold } from '../service-holds/service-holds.js';
import type { BackupItem } from './store-backups.js';

export function backupItemToProto(item: BackupItem): BackupStoreResponse {
  switch (item.kind) {
    case 'progress': {
      const value = { pagesDone: BigInt(item.done), pagesTotal: BigInt(item.total) };
      return { item: { $case: 'progress', value } };
    }
    case 'chunk':
      return { item: { $case: 'chunk', value: item.bytes } };
    case 'summary': {
      const { size, epoch, sequence, ...rest } = item.summary;
      const value = { ...rest, size: BigInt(size), epoch: BigInt(epoch), sequence: BigInt(sequence) };
      return { item: { $case: 'summary', value } };
    }
  }
}

export function restoreToProto(restore: RestoreRecord): StoreRestore {
  return {
    restoreTime: new Date(restore.restoredAt),
    backupEpoch: BigInt(restore.backup.epoch),
    backupSequence: BigInt(restore.backup.sequence),
    backupHash: restore.backup.hash,
    backupSignature: restore.backup.signature,
    confirmed: restore.confirmedAt !== null,
  };
}

export function holdToProto({ reason, message }: Hold): ServiceHold {
  return { reason, message };
}
