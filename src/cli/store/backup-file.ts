import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, link, open, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import { ClientError } from '../../client/client-error.js';
import type { StoreCopy } from '../../database/store-copy.js';
import { readCopy, requireIntegrity } from '../../database/store-copy.js';
import { systemErrorCode } from '../../errors/system-error-code.js';
import { syncDirectory } from '../../secret-store/atomic-file.js';

/**
 * Writes a 0600 file that is wholly there or not at all, and never over one that is there; `check` looks at what was
 * written before it gets its name. Throws `failed`: BACKUP_EXISTS or BACKUP_UNWRITABLE.
 */
export async function writeNewFile(
  path: string,
  fill: (handle: FileHandle) => Promise<void>,
  check: (written: string) => Promise<void>,
): Promise<void> {
  if (await exists(path)) throw alreadyThere(path);
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`;
  const handle = await open(temporary, 'wx', 0o600).catch((cause: unknown) => {
    throw unwritable(path, cause);
  });
  try {
    await filled(path, handle, fill);
    await check(temporary);
    // Unlike `rename`, `link` fails if the name has been taken meanwhile.
    await link(temporary, path).catch((cause: unknown) => {
      throw systemErrorCode(cause) === 'EEXIST' ? alreadyThere(path) : unwritable(path, cause);
    });
  } finally {
    await unlink(temporary);
  }
  await syncDirectory(dirname(path));
}

/** Reads the file back. Throws `failed`, BACKUP_UNVERIFIED, unless its bytes hash to `sha256` and it is the whole store `wanted`. */
export async function requireWhole(path: string, sha256: Buffer, wanted: StoreCopy): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  if (!hash.digest().equals(sha256)) throw unverified('its bytes are not those that the service sent');
  let copy: StoreCopy;
  try {
    copy = readStore(path);
  } catch (cause) {
    throw unverified('it is no whole database', cause);
  }
  const same =
    copy.storeId.equals(wanted.storeId) &&
    copy.epoch === wanted.epoch &&
    copy.sequence === wanted.sequence &&
    copy.hash.equals(wanted.hash);
  if (!same) throw unverified('it does not hold what the service says');
}

function readStore(path: string): StoreCopy {
  const connection = new BetterSqlite3(path, { readonly: true, fileMustExist: true });
  try {
    requireIntegrity(connection);
    return readCopy(connection);
  } finally {
    connection.close();
  }
}

async function filled(
  path: string,
  handle: FileHandle,
  fill: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  try {
    await fill(handle);
    await handle.sync();
  } catch (error) {
    // Errors of the file system name the call that failed; those of the network come as errors of the client.
    throw error instanceof Error && 'syscall' in error ? unwritable(path, error) : error;
  } finally {
    await handle.close();
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

function alreadyThere(path: string): ClientError {
  return new ClientError('failed', 'BACKUP_EXISTS', `${path} is there already and is left as it is`, {
    advice: 'name another file with --out',
  });
}

function unwritable(path: string, cause: unknown): ClientError {
  return new ClientError(
    'failed',
    'BACKUP_UNWRITABLE',
    `${path} cannot be written (${systemErrorCode(cause) ?? 'unknown'})`,
    {
      advice: 'name a file with --out in a directory that is there, that you may write and that has room',
      cause,
    },
  );
}

function unverified(why: string, cause?: unknown): ClientError {
  return new ClientError('failed', 'BACKUP_UNVERIFIED', `the backup was written and does not hold: ${why}`, {
    advice: 'nothing was left; run the same command again, and look at the disk if it comes again',
    cause,
  });
}
