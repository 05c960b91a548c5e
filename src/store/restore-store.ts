import type { KeyObject } from 'node:crypto';
import { createPublicKey } from 'node:crypto';
import { link, open } from 'node:fs/promises';
import { createReadStream, createWriteStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { SignedAuditHead } from '../audit/audit-head.js';
import { AuditLog } from '../audit/audit-log.js';
import { DATABASE_FILE, databaseExists, readChainEnd } from '../database/open-store.js';
import { ProcessLock, requireLocalFileSystem } from '../database/process-lock.js';
import type { RestoreRecord } from '../database/restore-record.js';
import { entities, migrations } from '../database/schema.js';
import { SqliteDatabase } from '../database/sqlite-database.js';
import { SqliteUnitOfWork } from '../database/sqlite-unit-of-work.js';
import { createStagingFile, removeStagingFiles } from '../database/staging-file.js';
import { mapStorageErrors } from '../database/storage-error.js';
import { readCopy, requireIntegrity } from '../database/store-copy.js';
import type { StoreCopy } from '../database/store-copy.js';
import { CHECK_RECORD_NAME, openStoreKeys, readCheckRecord, readStoreRow } from '../database/store-keys.js';
import { DomainError } from '../errors/domain-error.js';
import { systemRandomBytes } from '../random/random-bytes.js';
import { syncDirectory } from '../secret-store/atomic-file.js';
import type { ReadKey } from '../secret-store/given-keys.js';
import { firstThatOpens, forgetKeys, readGivenKeys } from '../secret-store/given-keys.js';
import type { MasterKeySource } from '../secret-store/master-key.js';
import { requirePrivateDirectory } from '../secret-store/private-file.js';
import { RecordSealer } from '../secret-store/record-sealer.js';
import type { VerificationItem } from '../secret-store/record-verification.js';
import { verifyRecords } from '../secret-store/record-verification.js';
import { SqlSealedRecords } from '../secret-store/sql-sealed-records.js';
import { SqlSecretReader } from '../secret-store/sql-secret-store.js';
import type { Clock } from '../time/clock.js';
import { beginNewEpoch, type EndedByRestore } from './new-epoch.js';

/** The one unit of a restore may take long: nobody waits behind it. Milliseconds. */
const UNIT_LIMIT_MS = 10 * 60_000;

/** What an audit export is held against: the end of the backup, signed, and the store's audit key. */
export interface BackupTrust {
  readonly auditKey: KeyObject;
  readonly backupHead: SignedAuditHead;
}

export interface RestoreOptions {
  /** Where the store is to be; it must not hold one. */
  readonly dataDir: string;
  /** A file that `palyra store backup` has written. */
  readonly backup: string;
  readonly masterKey: MasterKeySource;
  /** Tried too, as at the start of the service. */
  readonly nextMasterKey?: MasterKeySource | undefined;
  readonly clock: Clock;
  /** Ends the operators of the backup, for when nobody has a token of theirs: the next start makes a first admin. */
  readonly endOperators?: boolean;
  /**
   * Reads what came after the backup, before anything is in place; returns the epoch that the audit log had reached. What
   * it throws ends the restore.
   */
  readonly readLater?: (trust: BackupTrust) => Promise<number>;
}

export interface Restored extends EndedByRestore {
  /** What the backup held. */
  readonly backup: StoreCopy;
  /** The epoch that the restore has begun, Unix milliseconds. */
  readonly epoch: number;
  readonly restore: RestoreRecord;
  /** Sealed records that do not open: they were damaged before the backup was made. */
  readonly findings: readonly { readonly record: string; readonly reason: string }[];
}

/**
 * Makes a store of a backup, in quarantine and with a new epoch (DESIGN §4, docs/protocol.md, "Restore"). In this order:
 * no store is there → key → copy beside its place → every page and record looked at → new epoch in the copy → in place, by one `link`.
 * A restore that is cut off anywhere leaves no store or a whole one.
 *
 * Throws `STORE_EXISTS`, `STORE_IN_USE`, `BACKUP_UNREADABLE`, `BACKUP_DAMAGED`, `STORE_KEY_WRONG` and what else opening a store throws.
 */
export async function restoreStore(options: RestoreOptions): Promise<Restored> {
  const { dataDir } = options;
  await requirePrivateDirectory(dataDir);
  await requireLocalFileSystem(dataDir);
  const lock = await ProcessLock.take(dataDir);
  try {
    const place = join(dataDir, DATABASE_FILE);
    if (await databaseExists(place)) throw storeExists(dataDir);
    await removeStagingFiles(dataDir);
    const given = await readGivenKeys({
      current: options.masterKey,
      next: options.nextMasterKey,
      dataDir,
    });
    try {
      const copy = await createStagingFile(dataDir, 'restore');
      await copyBackup(options.backup, copy);
      const restored = await prepare(copy, given, options);
      await putInPlace(copy, place);
      return restored;
    } finally {
      forgetKeys(given);
      await removeStagingFiles(dataDir);
    }
  } finally {
    lock.release();
  }
}

/** Looks at all of the copy, begins the new epoch in it, and leaves one closed file. */
async function prepare(path: string, given: readonly ReadKey[], options: RestoreOptions): Promise<Restored> {
  const database = await ofBackup(options.backup, async () => {
    const opened = await SqliteDatabase.open(path, { entities, migrations });
    requireIntegrity(opened.connection);
    return opened;
  });
  try {
    return await restoreInto(database, given, options);
  } finally {
    await database.close();
  }
}

async function restoreInto(
  database: SqliteDatabase,
  given: readonly ReadKey[],
  options: RestoreOptions,
): Promise<Restored> {
  const { connection } = database;
  const { row, backup } = await ofBackup(options.backup, async () => {
    const copy = readCopy(connection);
    const found = readStoreRow(connection);
    if (found === undefined) throw new Error('unreachable: readCopy has found it');
    return Promise.resolve({ row: found, backup: copy });
  });
  const { opened: keys } = await firstThatOpens(given, ({ material }) => openStoreKeys(row, material));
  keys.masterKey.fill(0);
  const sealer = new RecordSealer(keys.storeId, keys.dataKeys, systemRandomBytes);
  try {
    await ofBackup(options.backup, async () => {
      sealer.open(CHECK_RECORD_NAME, readCheckRecord(connection)).fill(0);
      await database.migrate();
    });
    return await restoreWith(database, sealer, backup, options);
  } finally {
    sealer.destroy();
  }
}

async function restoreWith(
  database: SqliteDatabase,
  sealer: RecordSealer,
  backup: StoreCopy,
  options: RestoreOptions,
): Promise<Restored> {
  const reader = await database.openReader();
  try {
    const { tables } = reader;
    const committed = { tables, secrets: new SqlSecretReader(tables, sealer) };
    const findings = await findingsOf(verifyRecords(new SqlSealedRecords(tables), sealer));
    const ofThis = <T>(work: () => Promise<T>): Promise<T> => ofBackup(options.backup, work);
    const trust = await ofThis(() => trustOf(new AuditLog(committed, backup.storeId)));
    const laterEpoch = (await options.readLater?.(trust)) ?? 0;
    const now = options.clock.now();
    const epoch = Math.max(now, backup.epoch + 1, laterEpoch + 1);
    const unitOfWork = new SqliteUnitOfWork({
      dataSource: database.writer,
      connection: database.connection,
      sealer,
      clock: options.clock,
      health: database.health,
      epoch,
      chainEnd: await ofThis(() => readChainEnd(reader, backup.epoch)),
      unitTimeLimitMs: UNIT_LIMIT_MS,
    });
    const restore: RestoreRecord = {
      epoch,
      backup: endOf(trust.backupHead),
      restoredAt: now,
      confirmedAt: null,
      confirmedBy: null,
    };
    const endOperators = options.endOperators ?? false;
    const ended = await ofThis(() =>
      unitOfWork.run((unit) => beginNewEpoch(unit, restore, { endOperators })),
    );
    await unitOfWork.close();
    return { backup, epoch, restore, findings, ...ended };
  } finally {
    await reader.close();
    // One file, which can be put in place by its name alone.
    database.connection.pragma('journal_mode = DELETE');
  }
}

const endOf = ({ epoch, sequence, hash, signature }: SignedAuditHead): RestoreRecord['backup'] => ({
  epoch,
  sequence,
  hash,
  signature,
});

async function trustOf(auditLog: AuditLog): Promise<BackupTrust> {
  const auditKey = createPublicKey({ key: await auditLog.publicKey(), format: 'der', type: 'spki' });
  return { auditKey, backupHead: await auditLog.head() };
}

async function findingsOf(
  items: AsyncIterable<VerificationItem>,
): Promise<{ record: string; reason: string }[]> {
  const findings: { record: string; reason: string }[] = [];
  for await (const item of items) if (item.kind === 'finding') findings.push(item.finding);
  return findings;
}

/** A WAL beside it holds commits that the file alone does not: such a copy was not made by `palyra store backup`. */
async function copyBackup(from: string, to: string): Promise<void> {
  const wal = await sizeOf(`${from}-wal`);
  if (wal !== undefined && wal > 0) {
    throw unreadable(from, 'it has a WAL beside it, so it is the database of a store and no backup');
  }
  if ((await sizeOf(from)) === undefined) throw unreadable(from, 'it cannot be opened, or is no plain file');
  await mapStorageErrors(async () => {
    await pipeline(createReadStream(from), createWriteStream(to, { flags: 'r+' }));
    const handle = await open(to, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  });
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const handle = await open(path, 'r');
    try {
      const stats = await handle.stat();
      return stats.isFile() ? stats.size : undefined;
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}

/** Durably and never over a file that is there: unlike `rename`, `link` fails then. */
async function putInPlace(copy: string, place: string): Promise<void> {
  await link(copy, place);
  await syncDirectory(dirname(place));
}

/** What is wrong with the copy is wrong with the backup. */
async function ofBackup<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await mapStorageErrors(work);
  } catch (error) {
    if (!(error instanceof DomainError) || error.kind !== 'corrupt') throw error;
    throw new DomainError(
      'corrupt',
      'BACKUP_DAMAGED',
      `${path} is no whole backup of a store: take another one. Nothing was put in place.`,
      { cause: error },
    );
  }
}

function storeExists(dataDir: string): DomainError {
  return new DomainError(
    'wrong_state',
    'STORE_EXISTS',
    `${dataDir} holds a store already: move palyra.db and the files beside it (palyra.db-wal, palyra.db-shm) away, or name another data directory.`,
  );
}

function unreadable(path: string, why: string): DomainError {
  return new DomainError(
    'malformed',
    'BACKUP_UNREADABLE',
    `${path} is not taken as a backup: ${why}. Name a file that palyra store backup has written.`,
  );
}
