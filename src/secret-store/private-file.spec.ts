import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DomainError } from '../errors/domain-error.js';
import { createPrivateFile, posixFilePrivacy, requirePrivateDirectory } from './private-file.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'palyra-private-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('requirePrivateDirectory', () => {
  it('makes the directory and those above it, for this user alone', async () => {
    const path = join(root, 'a', 'b');
    await requirePrivateDirectory(path);
    await requirePrivateDirectory(path);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect((await stat(join(root, 'a'))).mode & 0o777).toBe(0o700);
  });

  // Node's recursive mkdir turns for ever here.
  const itOnLinux = process.platform === 'linux' ? it : it.skip;
  itOnLinux('gives up where the file system takes no directories', async () => {
    const refused = requirePrivateDirectory('/proc/palyra/data');
    await expect(refused).rejects.toBeInstanceOf(DomainError);
    await expect(refused).rejects.toMatchObject({ reason: 'STORE_FILE_UNREADABLE' });
  });
});

describe('createPrivateFile', () => {
  it('makes a file for this user alone, and never replaces one', async () => {
    const path = join(root, 'store.key');
    expect(await createPrivateFile(path, Buffer.from('first'))).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await createPrivateFile(path, Buffer.from('second'))).toBe(false);
    expect(await readFile(path, 'utf8')).toBe('first');
  });
});

const itOnPosix = process.platform === 'win32' ? it.skip : it;
itOnPosix('a file of another user is refused, one of this user or of root is not', async () => {
  const user = jest.spyOn(process as Required<typeof process>, 'getuid').mockReturnValue(1000);
  try {
    const stats = await stat(root);
    const judge = (uid: number) => () => {
      posixFilePrivacy.requirePrivate(root, Object.assign(stats, { uid }));
    };
    expect(judge(1000)).not.toThrow();
    expect(judge(0)).not.toThrow();
    expect(judge(1001)).toThrow(expect.objectContaining({ reason: 'STORE_FILE_FOREIGN' }));
  } finally {
    user.mockRestore();
  }
});
