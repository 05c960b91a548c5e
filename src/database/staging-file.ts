import { randomBytes } from 'node:crypto';
import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createEmptyPrivateFile } from '../secret-store/private-file.js';

/** With what SQLite may leave beside such a file. */
const STAGING_FILE = /^(?:backup|restore)-[0-9a-f]{12}\.tmp(?:-(?:wal|shm|journal))?$/;

/** Makes an empty 0600 file in the data directory for a copy of the database in the making, and returns its path. */
export async function createStagingFile(dataDir: string, purpose: 'backup' | 'restore'): Promise<string> {
  const path = join(dataDir, `${purpose}-${randomBytes(6).toString('hex')}.tmp`);
  await createEmptyPrivateFile(path);
  return path;
}

/** Removes what copies that were cut off have left; only for whoever holds the process lock of the directory. */
export async function removeStagingFiles(dataDir: string): Promise<void> {
  const names = await readdir(dataDir);
  await Promise.all(
    names.filter((name) => STAGING_FILE.test(name)).map((name) => unlink(join(dataDir, name))),
  );
}
