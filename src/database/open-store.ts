import { join } from 'node:path';
import { AuditLog, lastAuditEntry } from '../audit/audit-log.js';
import { EMPTY_CHAIN } from '../audit/audit-chain.js';
import type { ChainEnd } from '../audit/audit-chain.js';
import { AUDIT_KEY_NAME, newAuditKeyRecord } from '../audit/audit-key.js';
import { AuditEntryRow, AuditHeadRow } from '../audit/audit.entity.js';
import type { RandomBytes } from '../random/random-bytes.js';
import { systemRandomBytes } from '../random/random-bytes.js';
import { encodeJsonRecord } from '../secret-store/json-record.js';
import type { MasterKeySources, ReadKey } from '../secret-store/given-keys.js';
import { firstThatOpens, forgetKeys, keyForNewStore, readGivenKeys } from '../secret-store/given-keys.js';
import { missingMasterKey, masterKeyPath } from '../secret-store/master-key.js';
import type { MasterKeySource } from '../secret-store/master-key.js';
import {
  createEmptyPrivateFile,
  requirePrivateDirectory,
  requirePrivateIfPresent,
} from '../secret-store/private-file.js';
import { RecordSealer } from '../secret-store/record-sealer.js';
import { SqlSealedRecords } from '../secret-store/sql-sealed-records.js';
import { SqlSecretReader } from '../secret-store/sql-secret-store.js';
import type { VerificationItem } from '../secret-store/record-verification.js';
import { verifyRecords } from '../secret-store/record-verification.js';
import type { Clock } from '../time/clock.js';
import { systemClock } from '../time/clock.js';
import type { CommitListener } from './commit-feed.js';
import { requireNoStoreBefore } from './lost-store.js';
import { ProcessLock, requireLocalFileSystem } from './process-lock.js';
import { entities, migrations } from './schema.js';
import { storageError } from './storage-error.js';
import { WriteProbe } from './write-probe.js';
import type { CommittedTables, DatabaseSchema } from './sqlite-database.js';
import { SqliteDatabase } from './sqlite-database.js';
import { SqliteUnitOfWork } from './sqlite-unit-of-work.js';
import { removeStagingFiles } from './staging-file.js';
import {
  CHECK_RECORD_NAME,
  newStoreRow,
  openStoreKeys,
  readCheckRecord,
  readStoreRow,
  storeDamaged,
} from './store-keys.js';
import { decodeRestoreRecord, RESTORE_RECORD_NAME, type RestoreRecord } from './restore-record.js';
import { settle, StoreKeyring } from './store-keyring.js';
import type { StoreFields } from './store.entity.js';
import { StoreRow } from './store.entity.js';
import type { CopyProgress, StoreCopy } from './store-copy.js';
import { copyDatabase, isSamePlace, settleCopy } from './store-copy.js';
import type { CommittedReader, StoreTime, UnitOfWork } from './unit-of-work.js';

export const DATABASE_FILE = 'palyra.db';

export interface OpenStoreOptions {
  /** Made if it is not there; 0700. */
  readonly dataDir: string;
  readonly masterKey: MasterKeySource;
  /** The master key that the store is to change to; tried too. */
  readonly nextMasterKey?: MasterKeySource | undefined;
  readonly clock?: Clock;
  readonly random?: RandomBytes;
  /** Tables; by default those of the whole service. */
  readonly schema?: DatabaseSchema;
  /** How long one unit of work may hold the queue, milliseconds. */
  readonly unitTimeLimitMs?: number;
  /** Names of files that only a finished store leaves in its directory: with one of them there, no new store is made. */
  readonly leftBehind?: readonly string[];
}

/** An open store. Whoever opened it closes it; until then its data directory belongs to this process. */
export interface Store {
  /** 16 bytes; shown as lower-case hex. */
  readonly storeId: Buffer;
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
  readonly auditLog: AuditLog;
  /** What its records are sealed under, and how that is changed. */
  readonly keyring: StoreKeyring;
  /** Whether this opening made the store. */
  readonly created: boolean;
  /** The last restore, if there was one, as it was when the store was opened. */
  readonly restore: RestoreRecord | undefined;
  /** Epoch and audit sequence of the last commit. Cheap. */
  storeTime(): StoreTime;
  /** The highest time of any audit entry, Unix milliseconds. */
  highestTimeMs(): number;
  /** Copies what is committed to `target`, an empty file, while the store is in use; the copy was proved to open. */
  copyTo(target: string, onProgress?: CopyProgress): Promise<StoreCopy>;
  /** Opens all committed records; what does not open is named and does not end it. */
  verifyRecords(): AsyncGenerator<VerificationItem, void, undefined>;
  /**
   * Throws `unavailable` or `corrupt` when the store cannot be written, or was found damaged. For readiness: it writes when
   * the last write is some time ago.
   */
  requireWritable(): Promise<void>;
  /** Calls `listener` after each commit that added to the change log; returns how to end that. */
  onCommit(listener: CommitListener): () => void;
  /** Ends the units that wait, then closes everything. Units that come later are refused with `STORE_CLOSED`. */
  close(): Promise<void>;
}

/**
 * Opens the store of a data directory, and makes it at first start. In this order, and nothing further once one fails:
 * directory and permissions, lock, master key, database, a record that proves the key, migrations.
 *
 * A first start that is cut off at any point leaves what the next start takes up again. Throws a `DomainError` whose
 * message says what to do; its reasons are documented at the functions that throw them.
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  const opened = new Opened();
  try {
    await requirePrivateDirectory(options.dataDir);
    await requireLocalFileSystem(options.dataDir);
    opened.lock = await ProcessLock.take(options.dataDir);
    await removeStagingFiles(options.dataDir);
    const path = join(options.dataDir, DATABASE_FILE);
    const exists = await databaseExists(path);
    if (!exists) await requireNoStoreBefore(options.dataDir, options.leftBehind ?? []);
    const sources = masterKeySources(options);
    const given = exists
      ? await readGivenKeys(sources)
      : [await keyForNewStore(sources, options.random ?? systemRandomBytes)];
    await createEmptyPrivateFile(path);
    const database = await SqliteDatabase.open(path, options.schema ?? { entities, migrations });
    opened.database = database;
    return await finish(options, opened, database, given);
  } catch (error) {
    await opened.close();
    throw storageError(error) ?? error;
  }
}

/** What has to be closed, in whatever state opening was cut off. */
class Opened {
  lock: ProcessLock | undefined;
  database: SqliteDatabase | undefined;
  reader: CommittedTables | undefined;
  #closed = false;

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.reader?.close();
    await this.database?.close();
    this.lock?.release();
  }
}

async function finish(
  options: OpenStoreOptions,
  opened: Opened,
  database: SqliteDatabase,
  given: readonly ReadKey[],
): Promise<Store> {
  const { random = systemRandomBytes, clock = systemClock } = options;
  const sources = masterKeySources(options);
  const found = readStoreRow(database.connection);
  if (found === undefined) await requireNoStoreBefore(options.dataDir, options.leftBehind ?? []);
  const row = found ?? (await newStoreRow(keyOfNewStore(sources, given), clock.now(), random));
  const { key, opened: keys } = await firstThatOpens(given, ({ material }) => openStoreKeys(row, material));
  keys.masterKey.fill(0);
  const openedWith = await settle(key);
  forgetKeys(given);
  const sealer = new RecordSealer(keys.storeId, keys.dataKeys, random);
  if (found !== undefined) sealer.open(CHECK_RECORD_NAME, readCheckRecord(database.connection));

  await database.migrate();
  opened.reader = await database.openReader();
  const unitOfWork = new SqliteUnitOfWork({
    dataSource: database.writer,
    connection: database.connection,
    sealer,
    clock,
    health: database.health,
    epoch: row.epoch,
    chainEnd: await readChainEnd(opened.reader, found?.epoch),
    ...(options.unitTimeLimitMs === undefined ? {} : { unitTimeLimitMs: options.unitTimeLimitMs }),
  });
  if (found === undefined) await fillNewStore(unitOfWork, row);

  const { tables } = opened.reader;
  const committed: CommittedReader = { tables, secrets: new SqlSecretReader(tables, sealer) };
  const restore = await readRestore(committed, row);
  const probe = new WriteProbe(unitOfWork, database.health, clock);
  return {
    storeId: row.storeId,
    unitOfWork,
    committed,
    keyring: new StoreKeyring({ sources, sealer, unitOfWork, committed, random, openedWith }),
    auditLog: new AuditLog(committed, row.storeId),
    created: found === undefined,
    restore,
    storeTime: () => unitOfWork.storeTime(),
    highestTimeMs: () => unitOfWork.highestTimeMs(),
    async copyTo(target, onProgress) {
      // An old data key may go while the copy is made, which is of the time before.
      const keys = sealer.fork();
      try {
        await copyDatabase(join(options.dataDir, DATABASE_FILE), target, onProgress);
        return await settleCopy(target, keys);
      } finally {
        keys.destroy();
      }
    },
    verifyRecords: () => verifyRecords(new SqlSealedRecords(tables), sealer),
    requireWritable: () => probe.requireWritable(),
    onCommit: (listener) => unitOfWork.commits.onCommit(listener),
    async close() {
      await unitOfWork.close();
      await opened.close();
      sealer.destroy();
    },
  };
}

function masterKeySources({ masterKey, nextMasterKey, dataDir }: OpenStoreOptions): MasterKeySources {
  return { current: masterKey, next: nextMasterKey, dataDir };
}

/** For a first start that was cut off once its files were there: as without them, it is made with the current key. */
function keyOfNewStore(sources: MasterKeySources, given: readonly ReadKey[]): ReadKey {
  const key = given.find(({ role, isBeside }) => role === 'current' && !isBeside);
  if (key !== undefined) return key;
  throw missingMasterKey(sources.current, masterKeyPath(sources.current, sources.dataDir));
}

/** All of it in one commit, so that a store is either whole or not there. */
async function fillNewStore(unitOfWork: UnitOfWork, row: StoreFields): Promise<void> {
  await unitOfWork.run(async (unit) => {
    await unit.tables.insert(StoreRow, row);
    await unit.secrets.write(CHECK_RECORD_NAME, encodeJsonRecord({}));
    await unit.secrets.write(AUDIT_KEY_NAME, newAuditKeyRecord());
    unit.audit.append({ actor: 'system', source: 'local', action: 'store.created', subject: 'store' });
  });
}

/**
 * Where the audit chain goes on. Head and last entry are written in one commit, and a store begins with one, so a store in
 * which they differ or are gone was altered, and going on would bury that under new entries. A new epoch begins with an
 * entry too (`epoch`: that of the store; `undefined` for one that is being made).
 */
export async function readChainEnd(
  { tables }: CommittedTables,
  epoch: number | undefined,
): Promise<ChainEnd> {
  const head = await tables.findOneBy(AuditHeadRow, { id: 1 });
  const last = await lastAuditEntry(tables);
  if (epoch === undefined && head === null && last === null) return EMPTY_CHAIN;
  if (head === null || last === null || !isSamePlace(head, last)) {
    throw storeDamaged('its audit log does not end where its head says');
  }
  if (last.epoch !== epoch) throw storeDamaged('its epoch is not that of its last audit entry');
  return head;
}

/**
 * The record of the last restore. A store whose epoch is not that of its oldest entry was restored; without the record
 * that says so it would be out of quarantine although nobody has confirmed it.
 */
async function readRestore(
  { tables, secrets }: CommittedReader,
  { epoch }: StoreFields,
): Promise<RestoreRecord | undefined> {
  const sealed = await secrets.read(RESTORE_RECORD_NAME);
  if (sealed === undefined) {
    const [oldest] = await tables.find(AuditEntryRow, { order: { sequence: 'ASC' }, take: 1 });
    if (oldest !== undefined && oldest.epoch !== epoch)
      throw storeDamaged('the record of its restore is missing');
    return undefined;
  }
  const restore = decodeRestoreRecord(sealed);
  if (restore.epoch !== epoch) throw storeDamaged('its epoch is not that of its last restore');
  return restore;
}

/** Whether there is a database, or what SQLite left of one; its files must be private. */
export async function databaseExists(path: string): Promise<boolean> {
  const present = await Promise.all(
    [path, `${path}-wal`, `${path}-shm`, `${path}-journal`].map((file) => requirePrivateIfPresent(file)),
  );
  return present.includes(true);
}
