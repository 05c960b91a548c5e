import { lstat, mkdtemp, rmdir, stat } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { DomainError } from '../../errors/domain-error.js';
import { systemErrorCode } from '../../errors/system-error-code.js';
import { requirePrivateIfPresent, systemFilePrivacy } from '../../secret-store/private-file.js';
import { ClientError } from '../client-error.js';

/**
 * Finds out whether the device store can be kept in `directory`, an absolute path, and leaves nothing behind: before a
 * code is asked for, since a try of it is spent with the first message to the server.
 *
 * Throws `usage` with DEVICE_DIRECTORY when this user cannot make or write it, and with STORE_FILE_EXPOSED,
 * STORE_FILE_FOREIGN, STORE_FILE_UNREADABLE or STORE_FILE_ACCESS_UNKNOWN when others can get at what is there.
 */
export async function requireUsableDirectory(directory: string, files: readonly string[]): Promise<void> {
  const { path, stats } = await nearestExisting(directory, directory);
  if (!stats.isDirectory()) throw unusable(directory, `${path} is no directory`);
  if (path === directory) await requirePrivate(path, stats, files);
  await requireWritable(path, directory);
}

interface Existing {
  readonly path: string;
  readonly stats: Stats;
}

/** The path itself, or the closest above it that is there: in that one the rest would have to be made. */
async function nearestExisting(path: string, directory: string): Promise<Existing> {
  const stats = await stat(path).catch(absentOr(directory, path));
  if (stats !== undefined) return { path, stats };
  if ((await lstat(path).catch(absentOr(directory, path))) !== undefined) {
    throw unusable(directory, `${path} is a link to what is not there`);
  }
  return nearestExisting(dirname(path), directory);
}

async function requirePrivate(directory: string, stats: Stats, files: readonly string[]): Promise<void> {
  try {
    systemFilePrivacy.requirePrivate(directory, stats);
    for (const file of files) await requirePrivateIfPresent(join(directory, file));
  } catch (error) {
    if (error instanceof DomainError) {
      throw new ClientError('usage', error.reason, error.message, { cause: error });
    }
    throw unusable(directory, failureText(error, directory), error);
  }
}

/** By trying: permissions alone do not tell of read-only and special file systems. */
async function requireWritable(path: string, directory: string): Promise<void> {
  try {
    await rmdir(await mkdtemp(join(path, '.palyra-')));
  } catch (error) {
    throw unusable(directory, failureText(error, path), error);
  }
}

const ABSENT = ['ENOENT', 'ENOTDIR'];

const absentOr =
  (directory: string, path: string) =>
  (error: unknown): undefined => {
    if (!ABSENT.includes(codeOf(error))) throw unusable(directory, failureText(error, path), error);
  };

const TEXT_OF_CODE: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of this user is used up',
};

function failureText(error: unknown, path: string): string {
  const code = codeOf(error);
  return `${path}: ${TEXT_OF_CODE[code] ?? `no directory can be made there (${code})`}`;
}

function codeOf(error: unknown): string {
  const code = systemErrorCode(error);
  if (code === undefined) throw error;
  return code;
}

function unusable(directory: string, why: string, cause?: unknown): ClientError {
  return new ClientError('usage', 'DEVICE_DIRECTORY', `the device store cannot be in ${directory}: ${why}`, {
    advice: 'name a directory that this user can write, with --device-dir or PALYRA_DEVICE_DIR',
    cause,
  });
}
