import { join } from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import type { Database } from 'better-sqlite3';
import { DomainError } from '../errors/domain-error.js';
import { systemRandomBytes } from '../random/random-bytes.js';
import type { MasterKeySources } from '../secret-store/given-keys.js';
import { firstThatOpens, forgetKeys, readGivenKeys } from '../secret-store/given-keys.js';
import { RecordSealer } from '../secret-store/record-sealer.js';
import type { SealedRecords, VerificationItem } from '../secret-store/record-verification.js';
import { verifyRecords } from '../secret-store/record-verification.js';
import type { SealedRow } from '../secret-store/sql-sealed-records.js';
import { DATABASE_FILE, databaseExists } from './open-store.js';
import { ProcessLock } from './process-lock.js';
import { mapStorageErrors } from './storage-error.js';
import { requireTablesOnly } from './schema-check.js';
import { requireIntegrity } from './store-copy.js';
import { openStoreKeys, readStoreRow, storeDamaged } from './store-keys.js';

/** What stands for the file as a whole among the names of records. */
const DATABASE = '(the database file)';

/**
 * Opens all records of a store that no service runs on, also of one that is too damaged to start: it needs the row of the
 * keys and nothing else, and only reads. Pages that SQLite cannot read are a finding too.
 *
 * Throws `STORE_IN_USE`, `STORE_MISSING`, `STORE_KEY_WRONG` and what else finding the key throws.
 */
export async function* verifyOffline(
  sources: MasterKeySources,
): AsyncGenerator<VerificationItem, void, undefined> {
  const path = join(sources.dataDir, DATABASE_FILE);
  if (!(await databaseExists(path))) throw noStore(sources.dataDir);
  const lock = await ProcessLock.take(sources.dataDir);
  try {
    const connection = await mapStorageErrors(() => new BetterSqlite3(path, { readonly: true }));
    try {
      const sealer = await openSealer(connection, sources);
      try {
        yield* verifyAll(connection, sealer);
      } finally {
        sealer.destroy();
      }
    } finally {
      connection.close();
    }
  } finally {
    lock.release();
  }
}

async function openSealer(connection: Database, sources: MasterKeySources): Promise<RecordSealer> {
  const given = await readGivenKeys(sources);
  try {
    const row = await mapStorageErrors(() => readStoreRow(connection));
    if (row === undefined) throw storeDamaged('its row in table store is missing');
    const { opened } = await firstThatOpens(given, ({ material }) => openStoreKeys(row, material));
    opened.masterKey.fill(0);
    return new RecordSealer(opened.storeId, opened.dataKeys, systemRandomBytes);
  } finally {
    forgetKeys(given);
  }
}

async function* verifyAll(
  connection: Database,
  sealer: RecordSealer,
): AsyncGenerator<VerificationItem, void, undefined> {
  let isDamaged = await isCorrupt(() => {
    requireIntegrity(connection);
    requireTablesOnly(connection);
  });
  let records = 0;
  let failed = 0;
  try {
    for await (const item of verifyRecords(recordsOf(connection), sealer)) {
      if (item.kind === 'progress') records = item.done;
      if (item.kind === 'finding') failed += 1;
      if (item.kind !== 'verified') yield item;
    }
  } catch (error) {
    if (!(error instanceof DomainError) || error.kind !== 'corrupt') throw error;
    isDamaged = true;
  }
  if (isDamaged) yield { kind: 'finding', finding: { record: DATABASE, reason: 'STORE_DAMAGED' } };
  yield { kind: 'verified', records, failed: failed + (isDamaged ? 1 : 0) };
}

function recordsOf(connection: Database): SealedRecords {
  const page = connection.prepare<[string, number], SealedRow>(
    'SELECT "name", "record" FROM "secret" WHERE "name" > ? ORDER BY "name" LIMIT ?',
  );
  const count = connection.prepare<[], { count: number }>('SELECT count(*) AS "count" FROM "secret"');
  return {
    count: () => mapStorageErrors(() => count.get()?.count ?? 0),
    page: (after, limit) => mapStorageErrors(() => page.all(after, limit)),
  };
}

async function isCorrupt(work: () => void): Promise<boolean> {
  try {
    await mapStorageErrors(work);
    return false;
  } catch (error) {
    if (error instanceof DomainError && error.kind === 'corrupt') return true;
    throw error;
  }
}

function noStore(dataDir: string): DomainError {
  return new DomainError(
    'not_found',
    'STORE_MISSING',
    `There is no store in ${dataDir}: name its directory with PALYRA_DATA_DIR.`,
  );
}
