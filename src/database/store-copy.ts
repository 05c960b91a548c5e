import BetterSqlite3 from 'better-sqlite3';
import type { Database } from 'better-sqlite3';
import type { RecordSealer } from '../secret-store/record-sealer.js';
import { mapStorageErrors } from './storage-error.js';
import { CHECK_RECORD_NAME, isBytes, readCheckRecord, readStoreRow, storeDamaged } from './store-keys.js';

/** Pages that are copied in one turn of the event loop; about a millisecond's work. */
const PAGES_A_TURN = 256;

/** What a copy of the database holds. */
export interface StoreCopy {
  /** 16 bytes. */
  readonly storeId: Buffer;
  readonly epoch: number;
  /** Number and hash (32 bytes) of its last audit entry. */
  readonly sequence: number;
  readonly hash: Buffer;
}

/** May throw, which ends the copy. */
export type CopyProgress = (pagesDone: number, pagesTotal: number) => void;

/**
 * Copies the database at `source` to `target` (an empty file) while it is written, by SQLite's own backup. The copy holds
 * what was committed when it began: the read transaction around it keeps that state, so that writers neither start it anew
 * nor end up in it by half. Until it is done the WAL cannot be cut back.
 */
export async function copyDatabase(
  source: string,
  target: string,
  onProgress: CopyProgress = () => undefined,
): Promise<void> {
  const connection = new BetterSqlite3(source, { readonly: true, fileMustExist: true });
  try {
    await mapStorageErrors(async () => {
      connection.exec('BEGIN');
      connection.prepare('SELECT 1 FROM sqlite_master').get();
      await connection.backup(target, {
        progress({ totalPages, remainingPages }) {
          onProgress(totalPages - remainingPages, totalPages);
          return PAGES_A_TURN;
        },
      });
    });
  } finally {
    connection.close();
  }
}

/**
 * Makes the copy one plain file that needs no WAL beside it, and reads what it holds; `sealer` proves that the keys of the
 * store open it. Throws `corrupt` when it is not whole.
 */
export async function settleCopy(path: string, sealer: RecordSealer): Promise<StoreCopy> {
  return mapStorageErrors(() => {
    const connection = new BetterSqlite3(path, { fileMustExist: true });
    try {
      connection.pragma('journal_mode = DELETE');
      const copy = readCopy(connection);
      sealer.open(CHECK_RECORD_NAME, readCheckRecord(connection)).fill(0);
      return copy;
    } finally {
      connection.close();
    }
  });
}

/** What the database of a connection holds. Needs no key. Throws `corrupt`, `STORE_DAMAGED`. */
export function readCopy(connection: Database): StoreCopy {
  const row = readStoreRow(connection);
  if (row === undefined) throw storeDamaged('there is no store in it');
  const head = connection
    .prepare<[], { sequence: number; hash: Buffer }>(
      'SELECT "sequence", "hash" FROM "audit_head" WHERE "id" = 1',
    )
    .get();
  const last = connection
    .prepare<[], { sequence: number; hash: Buffer }>(
      'SELECT "sequence", "hash" FROM "audit_entry" ORDER BY "sequence" DESC LIMIT 1',
    )
    .get();
  if (head === undefined || last === undefined || !isSamePlace(head, last)) {
    throw storeDamaged('its audit log does not end where its head says');
  }
  return { storeId: row.storeId, epoch: row.epoch, sequence: head.sequence, hash: head.hash };
}

/** A place in the audit chain, as rows tell it: in a damaged one the hash may be no bytes. */
interface Place {
  readonly sequence: number;
  readonly hash: Buffer;
}

export function isSamePlace(one: Place, other: Place): boolean {
  const areBytes = isBytes(one.hash) && isBytes(other.hash);
  return areBytes && one.sequence === other.sequence && one.hash.equals(other.hash);
}

/** Throws `corrupt`, `STORE_DAMAGED`, unless SQLite finds every page and index of the database in order. */
export function requireIntegrity(connection: Database): void {
  const [first] = connection.pragma('integrity_check(1)') as { integrity_check: string }[];
  if (first?.integrity_check !== 'ok') throw storeDamaged('its pages or indices are not in order');
}
