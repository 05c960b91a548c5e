import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/** What a writer that was killed leaves beside a file; it is written anew or removed by the next. */
export const TEMPORARY_SUFFIX = '.new';

/** Replaces a file (mode 0600) so that it is the old or the new one at every moment, also after a power cut. */
export async function replaceFile(path: string, content: Uint8Array): Promise<void> {
  const temporary = path + TEMPORARY_SUFFIX;
  await removeFile(temporary);
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** Removes a file durably. Returns whether it was there. */
export async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  await syncDirectory(dirname(path));
  return true;
}

/** Windows cannot open directories, and writes their changes by itself. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
