/** Files that hold secrets, on disk: who may read them, and how they come to be there. */
import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import { link, lstat, mkdir, open, stat, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { DomainError } from '../errors/domain-error.js';
import { syncDirectory } from './atomic-file.js';
import { createWindowsFilePrivacy } from './windows-file-privacy.js';

/** Bits of a mode that let group or others read, write or enter. */
const OTHERS = 0o077;

/** How a system tells who else may read a file. */
export interface FilePrivacy {
  /**
   * Throws `STORE_FILE_EXPOSED` or `STORE_FILE_FOREIGN` if others than this user (and root, or the system) can get at it,
   * and `STORE_FILE_ACCESS_UNKNOWN` if that cannot be told.
   */
  requirePrivate(path: string, stats: Stats): void;
}

export const posixFilePrivacy: FilePrivacy = {
  requirePrivate(path, stats) {
    requireOwner(path, stats);
    if ((stats.mode & OTHERS) === 0) return;
    const mode = stats.isDirectory() ? '700' : '600';
    throw refused(
      'STORE_FILE_EXPOSED',
      `Others can get at ${path}: run \`chmod ${mode} ${quoted(path)}\`, and if they may have read it, change what it protects.`,
    );
  },
};

export const systemFilePrivacy: FilePrivacy =
  process.platform === 'win32' ? createWindowsFilePrivacy() : posixFilePrivacy;

/**
 * Reads a small secret file, judging the very file that was opened. With `followLinks` a symbolic link is followed, as
 * mounted secrets need it. Absent is `undefined`. Throws what {@link FilePrivacy} throws, or `STORE_FILE_UNREADABLE`.
 */
export async function readPrivateFile(
  path: string,
  options: { readonly followLinks: boolean; readonly maxBytes: number; readonly privacy?: FilePrivacy },
): Promise<Buffer | undefined> {
  // Not to wait for a writer if it is a pipe: it is refused below.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | (options.followLinks ? 0 : constants.O_NOFOLLOW);
  const handle = await open(path, flags).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw unreadable(path, error);
  });
  if (handle === undefined) return undefined;
  try {
    const stats = await handle.stat();
    if (!stats.isFile() || stats.size > options.maxBytes) throw unreadable(path, undefined);
    (options.privacy ?? systemFilePrivacy).requirePrivate(path, stats);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/**
 * Makes a 0600 file that is either wholly there or not at all, also after a power cut, and never replaces one. Returns
 * `false` if there is one already.
 */
export async function createPrivateFile(path: string, content: Uint8Array): Promise<boolean> {
  const temporary = `${path}.tmp`;
  await unlink(temporary).catch(ignoring('ENOENT'));
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    // Unlike `rename`, `link` fails if the name is taken.
    await link(temporary, path);
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await unlink(temporary);
  }
  await syncDirectory(dirname(path));
  return true;
}

/** Makes an empty 0600 file unless the name is taken. What is there is not opened, which would free SQLite's locks on it. */
export async function createEmptyPrivateFile(path: string): Promise<void> {
  const handle = await open(path, 'wx', 0o600).catch(ignoring('EEXIST'));
  await handle?.close();
}

/** Makes the directory, 0700, with those above it; one that is there must be private. */
export async function requirePrivateDirectory(path: string, privacy = systemFilePrivacy): Promise<void> {
  await makeDirectories(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  const stats = await stat(path);
  if (!stats.isDirectory()) throw unreadable(path, undefined);
  privacy.requirePrivate(path, stats);
}

/**
 * Node's own recursive `mkdir` never ends where a file system answers ENOENT although the directory above is there
 * (/proc, some network mounts); this one asks for each directory once.
 */
async function makeDirectories(path: string): Promise<void> {
  if ((await stat(path).catch(ignoring('ENOENT'))) !== undefined) return;
  const parent = dirname(resolve(path));
  if (parent !== resolve(path)) await makeDirectories(parent);
  await mkdir(path, { mode: 0o700 }).catch(ignoring('EEXIST'));
}

/**
 * Judges a file by its name, without opening it: for the files of SQLite, where closing any descriptor frees all locks
 * the process holds (POSIX). Safe only inside a private directory. An absent file is fine.
 */
export async function requirePrivateIfPresent(path: string, privacy = systemFilePrivacy): Promise<boolean> {
  const stats = await lstat(path).catch(ignoring('ENOENT'));
  if (stats === undefined) return false;
  if (!stats.isFile()) throw unreadable(path, undefined);
  privacy.requirePrivate(path, stats);
  return true;
}

function requireOwner(path: string, stats: Stats): void {
  const user = process.getuid?.();
  if (user === undefined || user === 0 || stats.uid === user || stats.uid === 0) return;
  throw refused(
    'STORE_FILE_FOREIGN',
    `${path} belongs to another user: run \`chown ${user} ${quoted(path)}\`, or start as the user it belongs to.`,
  );
}

function unreadable(path: string, cause: unknown): DomainError {
  return new DomainError(
    'unavailable',
    'STORE_FILE_UNREADABLE',
    `${path} cannot be used: it must be a plain file (or directory) that this user can open, and no symbolic link inside the data directory.`,
    { cause },
  );
}

function refused(reason: string, message: string): DomainError {
  return new DomainError('wrong_state', reason, message);
}

const quoted = (path: string): string =>
  /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;

const hasCode = (error: unknown, code: string): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === code;

const ignoring =
  (code: string) =>
  (error: unknown): undefined => {
    if (!hasCode(error, code)) throw error;
  };
