import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainError } from '../errors/domain-error.js';

/**
 * Throws `STORE_MISSING` when one of the files that only a finished store leaves behind is in the data directory: making a
 * new store there would hide that the database was moved or lost, and be another cluster under the same address.
 */
export async function requireNoStoreBefore(dataDir: string, leftBehind: readonly string[]): Promise<void> {
  for (const name of leftBehind) {
    const path = join(dataDir, name);
    if (!(await isPresent(path))) continue;
    throw new DomainError(
      'wrong_state',
      'STORE_MISSING',
      `The database in ${dataDir} is missing or empty, and ${name} says that there was one: put it back (palyra.db, and palyra.db-wal if there was one), or use \`palyra store restore\` with a backup. For a new cluster, in which every device pairs again, choose another directory.`,
    );
  }
}

async function isPresent(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
