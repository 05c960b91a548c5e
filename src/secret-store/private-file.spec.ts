import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DomainError } from '../errors/domain-error.js';
import { requirePrivateDirectory } from './private-file.js';

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
