import { decodeRestoreRecord, encodeRestoreRecord, RESTORE_RECORD_NAME } from '../database/restore-record.js';
import type { RestoreRecord } from '../database/restore-record.js';
import type { CommittedReader, UnitOfWork } from '../database/unit-of-work.js';
import { wrongState } from '../errors/domain-error.js';
import type { OperatorCaller } from '../operators/caller.js';
import { actorOf } from '../operators/caller.js';
import type { SecretReader } from '../secret-store/secret-store.js';
import type { Hold, ServiceHolds } from '../service-holds/service-holds.js';
import type { Clock } from '../time/clock.js';

/** What a restored store may not do until an admin has confirmed it (DESIGN §4). */
export const QUARANTINE: Hold = {
  reason: 'STORE_QUARANTINE',
  stops: ['admission', 'pairing', 'issuance', 'pruning'],
  message:
    'the store was restored from a backup and what came later, revocations too, is undone; an admin has to revoke again what is missing and then run `palyra store confirm`',
};

/** Whether a restore still waits for an admin. */
export const isUnconfirmed = (restore: RestoreRecord | undefined): boolean =>
  restore !== undefined && restore.confirmedAt === null;

export interface QuarantineParts {
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
  readonly clock: Clock;
  readonly holds: ServiceHolds;
}

/**
 * The quarantine of a restored store. It begins only at a start, and while a store is open no other process writes it, so
 * the hold of this process and the sealed record say the same.
 */
export class Quarantine {
  constructor(private readonly parts: QuarantineParts) {}

  /** The last restore of the store; `undefined` when there was none. */
  restore(): Promise<RestoreRecord | undefined> {
    return readRestoreRecord(this.parts.committed.secrets);
  }

  /**
   * Ends the quarantine, durably, and then the hold. Once ended it answers the same and writes nothing. Throws
   * `wrong_state`, NOT_RESTORED, on a store that never was restored.
   */
  async confirm(caller: OperatorCaller, reason: string): Promise<void> {
    await this.parts.unitOfWork.run(async (unit) => {
      const restore = await readRestoreRecord(unit.secrets);
      if (restore === undefined) {
        throw wrongState(
          'NOT_RESTORED',
          'this store was not restored from a backup: there is nothing to confirm',
        );
      }
      if (!isUnconfirmed(restore)) return;
      const confirmed = { ...restore, confirmedAt: this.parts.clock.now(), confirmedBy: actorOf(caller) };
      await unit.secrets.write(RESTORE_RECORD_NAME, encodeRestoreRecord(confirmed));
      unit.audit.append({
        actor: actorOf(caller),
        source: caller.source,
        action: 'store.restore_confirmed',
        subject: 'store',
        reason,
        details: { backup_sequence: restore.backup.sequence },
      });
    });
    this.parts.holds.lift(QUARANTINE.reason);
  }
}

async function readRestoreRecord(secrets: SecretReader): Promise<RestoreRecord | undefined> {
  const sealed = await secrets.read(RESTORE_RECORD_NAME);
  return sealed === undefined ? undefined : decodeRestoreRecord(sealed);
}
