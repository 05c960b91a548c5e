import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import type { Database } from 'better-sqlite3';
import { DomainError } from '../errors/domain-error.js';
import { createEmptyPrivateFile, requirePrivateIfPresent } from '../secret-store/private-file.js';
import { storageError } from './storage-error.js';

export const LOCK_FILE = 'palyra.lock';

/** File systems over a network, whose locks cannot be relied on; by the type that Linux gives (`man 2 statfs`). */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x5346414f, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x01021997, '9P'],
  [0x47504653, 'GPFS'],
  [0x19830326, 'BeeGFS'],
  [0x73757245, 'Coda'],
  [0x7461636f, 'OCFS2'],
  [0x01161970, 'GFS2'],
]);

/**
 * Makes a data directory belong to one process. The lock is SQLite's on a file that nothing else opens; the system frees
 * it when the process ends, also by SIGKILL. (`locking_mode=EXCLUSIVE` on the database itself does not hold in WAL mode.)
 */
export class ProcessLock {
  private constructor(private readonly connection: Database) {}

  /** Throws `unavailable`, `STORE_IN_USE`, if another process, or this one, has it. */
  static async take(dataDir: string): Promise<ProcessLock> {
    const path = join(dataDir, LOCK_FILE);
    await createEmptyPrivateFile(path);
    await requirePrivateIfPresent(path);
    const connection = new BetterSqlite3(path, { timeout: 0 });
    try {
      connection.pragma('journal_mode = MEMORY');
      connection.exec('BEGIN EXCLUSIVE');
    } catch (error) {
      connection.close();
      throw lockError(dataDir, error);
    }
    return new ProcessLock(connection);
  }

  release(): void {
    this.connection.close();
  }
}

/** Throws `NETWORK_FILE_SYSTEM`. What cannot be told counts as local. */
export async function requireLocalFileSystem(dataDir: string): Promise<void> {
  if (process.platform !== 'linux') return;
  const { type } = await statfs(dataDir);
  const name = networkFileSystem(type);
  if (name === undefined) return;
  throw new DomainError(
    'wrong_state',
    'NETWORK_FILE_SYSTEM',
    `${dataDir} is on a network file system (${name}), where two processes could corrupt the store: put it on a local disk.`,
  );
}

/** The name of a network file system by its `statfs` type; `undefined` for all others. */
export function networkFileSystem(type: number): string | undefined {
  return NETWORK_FILE_SYSTEMS.get(type >>> 0);
}

function lockError(dataDir: string, error: unknown): unknown {
  const storage = storageError(error);
  if (storage?.reason !== 'STORE_BUSY') return storage ?? error;
  return new DomainError(
    'unavailable',
    'STORE_IN_USE',
    `Another process uses the store in ${dataDir}: stop it, or give this one a data directory of its own.`,
    { cause: error },
  );
}
