/** The data keys of an open store: a new one, records sealed under it, the end of the old ones. */
import { DomainError } from '../errors/domain-error.js';
import type { RandomBytes } from '../random/random-bytes.js';
import type { RecordFinding } from '../secret-store/record-verification.js';
import { openRow } from '../secret-store/record-verification.js';
import type { SealedRow } from '../secret-store/sql-sealed-records.js';
import { SqlSealedRecords } from '../secret-store/sql-sealed-records.js';
import {
  DATA_KEY_ID_BYTES,
  dataKeyIdOf,
  KEY_BYTES,
  SALT_BYTES,
  wrapDataKey,
} from '../secret-store/sealed-record.js';
import { splitWrappedKeys } from './store-keys.js';
import type { KeyChangeBy, StoreKeyring } from './store-keyring.js';
import { requireUnchanged } from './store-keyring.js';
import { StoreRow } from './store.entity.js';
import type { CommittedReader, UnitOfWork } from './unit-of-work.js';

/** What one unit of work did. */
export interface ResealedRecords {
  readonly resealed: number;
  readonly findings: readonly RecordFinding[];
}

export class DataKeys {
  readonly records: SqlSealedRecords;

  constructor(
    private readonly keyring: StoreKeyring,
    private readonly unitOfWork: UnitOfWork,
    committed: CommittedReader,
    private readonly random: RandomBytes,
  ) {
    this.records = new SqlSealedRecords(committed.tables);
  }

  /** Whether records may still be sealed under a key that is to go. */
  get isChanging(): boolean {
    return this.keyring.sealer.dataKeyIds.length > 1;
  }

  isCurrent({ record }: SealedRow): boolean {
    return record instanceof Uint8Array && this.keyring.sealer.isCurrent(record);
  }

  /**
   * Adds a data key that seals from now on, unless the store has more than one already. It is used only once it is
   * committed: what is sealed before that opens with the keys that were there.
   */
  async add(by: KeyChangeBy): Promise<void> {
    await this.keyring.withOpenedRow(async ({ row, keys }) => {
      if (this.isChanging) return;
      const dataKey = { id: this.random(DATA_KEY_ID_BYTES), key: this.random(KEY_BYTES) };
      const wrapped = wrapDataKey(keys.masterKey, row.storeId, dataKey, this.random(SALT_BYTES));
      await this.unitOfWork.run(async (unit) => {
        await requireUnchanged(unit, row);
        const wrappedKeys = Buffer.concat([row.wrappedKeys, wrapped]);
        await unit.tables.update(StoreRow, { id: row.id }, { wrappedKeys });
        unit.audit.append({ ...by, action: 'store.data_key_added', subject: 'store' });
      });
      this.keyring.sealer.useKeys([...keys.dataKeys, dataKey]);
    });
  }

  /** Seals these records anew, in one unit of work; those that do not open stay as they are and are named. */
  async reseal(rows: readonly SealedRow[]): Promise<ResealedRecords> {
    const { sealer } = this.keyring;
    return this.unitOfWork.run(async ({ tables, secrets }) => {
      const inUnit = new SqlSealedRecords(tables);
      const findings: RecordFinding[] = [];
      let resealed = 0;
      for (const before of rows) {
        const row = typeof before.name === 'string' ? await inUnit.one(before.name) : before;
        // Deleted or written anew meanwhile.
        if (row === undefined || this.isCurrent(row)) continue;
        const opened = openRow(sealer, row);
        if ('reason' in opened) {
          findings.push(opened);
          continue;
        }
        await secrets.write(opened.name, opened.plaintext);
        opened.plaintext.fill(0);
        resealed += 1;
      }
      return { resealed, findings };
    });
  }

  /**
   * Removes all data keys but the one that seals, provided that nothing is sealed under them. Looks at each record once
   * more, in the unit of work that removes them: there is no way back. Throws `DATA_KEY_IN_USE`.
   */
  async dropOld(by: KeyChangeBy, details: Readonly<Record<string, unknown>>): Promise<void> {
    await this.keyring.withOpenedRow(async ({ row, keys }) => {
      const current = keys.dataKeys.at(-1);
      const wrappedKeys = splitWrappedKeys(row).at(-1);
      if (current === undefined || wrappedKeys === undefined || keys.dataKeys.length === 1) return;
      if (dataKeyIdOf(wrappedKeys)?.equals(current.id) !== true) throw inUse();
      await this.unitOfWork.run(async (unit) => {
        await requireUnchanged(unit, row);
        if ((await new SqlSealedRecords(unit.tables).countNotUnder(current.id)) > 0) throw inUse();
        await unit.tables.update(StoreRow, { id: row.id }, { wrappedKeys });
        unit.audit.append({ ...by, action: 'store.data_rekeyed', subject: 'store', details });
      });
      this.keyring.sealer.useKeys([current]);
    });
  }
}

function inUse(): DomainError {
  return new DomainError(
    'wrong_state',
    'DATA_KEY_IN_USE',
    'A record is still sealed under an old data key, which therefore stays: run `palyra store rekey --data` again.',
  );
}
