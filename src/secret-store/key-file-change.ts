/** Replaces a key file: the new one beside it first, then (once the store is wrapped under it) in its place. */
import { lstat, readFile, realpath, rename, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DomainError } from '../errors/domain-error.js';
import { removeFile, replaceFile, syncDirectory, TEMPORARY_SUFFIX } from './atomic-file.js';

/** File systems in memory, tmpfs and ramfs, by their type (`man 2 statfs`): they forget everything at a restart. */
const IN_MEMORY = new Set([0x01021994, 0x858458f6]);
/** overlayfs and aufs: the layer of a container, which goes when the container is made anew. */
const IN_A_LAYER = new Set([0x794c7630, 0x61756673]);

/** What `rename` answers on a mount, a read-only file system, or in a directory of somebody else. */
const REFUSED = new Set(['EROFS', 'EACCES', 'EPERM', 'EBUSY', 'EXDEV']);

/**
 * Throws `STORE_KEY_NOT_REPLACEABLE` unless a file that replaces this one stays there: no link, no mount of its own, and
 * no file system that forgets it sooner than the data. A key that vanished at the next start would be the end of
 * the store.
 */
export async function requireReplaceable(path: string, dataDir: string): Promise<void> {
  const isLink = (await lstat(path)).isSymbolicLink();
  if (isLink) throw notReplaceable(path, 'it is a symbolic link, as mounted secrets are');
  if (await isMountPoint(path)) throw notReplaceable(path, 'it is mounted by itself');
  if ((await enduranceOf(dirname(path))) < (await enduranceOf(dataDir))) {
    throw notReplaceable(path, 'it lies in memory, or in the layer of a container, and the data does not');
  }
}

/** Writes `<path>.new`, durably, in place of what an earlier change may have left there. */
export async function writeFileBeside(path: string, content: Uint8Array): Promise<void> {
  const beside = path + TEMPORARY_SUFFIX;
  try {
    await removeFile(beside);
    // Whatever is cut off here leaves no `.new` that is half a key.
    await replaceFile(beside, content);
  } catch (cause) {
    throw notReplaceable(path, 'no file can be written beside it', cause);
  }
}

/** Puts `<path>.new` in the place of `path`, durably. Returns `false` if the file system does not let it. */
export async function putInPlace(path: string): Promise<boolean> {
  try {
    await rename(path + TEMPORARY_SUFFIX, path);
  } catch (error) {
    if (REFUSED.has((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
  await syncDirectory(dirname(path));
  return true;
}

async function isMountPoint(path: string): Promise<boolean> {
  if ((await stat(path)).dev !== (await stat(dirname(path))).dev) return true;
  if (process.platform !== 'linux') return false;
  const real = join(await realpath(dirname(path)), basename(path));
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  return mountPoints(mounts).includes(real);
}

/** The mount points of `/proc/self/mountinfo` (`man 5 proc`): the fifth field, with blanks and the like in octal. */
export function mountPoints(mountinfo: string): string[] {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((point) =>
      point.replace(/\\([0-7]{3})/g, (_match, code: string) => String.fromCharCode(parseInt(code, 8))),
    );
}

async function enduranceOf(directory: string): Promise<number> {
  return process.platform === 'linux' ? endurance((await statfs(directory)).type) : endurance(0);
}

/** How long a file system of this type (of `statfs`) keeps what is on it: 0 to a restart, 1 as long as a container, 2 longer. */
export function endurance(type: number): 0 | 1 | 2 {
  if (IN_MEMORY.has(type >>> 0)) return 0;
  return IN_A_LAYER.has(type >>> 0) ? 1 : 2;
}

export function notReplaceable(path: string, why: string, cause?: unknown): DomainError {
  return new DomainError(
    'wrong_state',
    'STORE_KEY_NOT_REPLACEABLE',
    `The key file ${path} cannot be replaced by the service: ${why}. Mount the new key (or passphrase) as a file of its own, ` +
      'name it with PALYRA_STORE_NEW_KEY_FILE (or PALYRA_STORE_NEW_PASSPHRASE_FILE), restart, and run ' +
      '`palyra store rekey --prepared`.',
    { cause },
  );
}
