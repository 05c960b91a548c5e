import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readTokenFile } from './operator-credential.js';

const vectors = JSON.parse(readFileSync('test/vectors/token.json', 'utf8')) as {
  valid: { text: string; ca: string }[];
};
const token = vectors.valid[0]!;

describe('token file', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'palyra-token-'));
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  async function fileWith(text: string, mode = 0o600): Promise<string> {
    const path = join(directory, 'token');
    await writeFile(path, text);
    await chmod(path, mode);
    return path;
  }

  async function reasonOf(path: string): Promise<string> {
    return readTokenFile(path).then(
      () => 'accepted',
      (error: unknown) => (error as { reason: string }).reason,
    );
  }

  it('gives token and pinned CA', async () => {
    const credential = await readTokenFile(await fileWith(`${token.text}\n`));
    expect(credential.token).toBe(token.text);
    expect(credential.ca.toString('hex')).toBe(token.ca);
  });

  it.each([0o640, 0o604, 0o644, 0o660, 0o620])('is refused with mode %o', async (mode) => {
    expect(await reasonOf(await fileWith(token.text, mode))).toBe('TOKEN_FILE_EXPOSED');
  });

  it.each([
    ['nothing', '', 'TOKEN_FILE_MALFORMED'],
    ['far too much', token.text.repeat(100), 'TOKEN_FILE_MALFORMED'],
    ['something else', 'password', 'TOKEN_PREFIX'],
    ['two tokens', `${token.text}\n${token.text}`, 'TOKEN_PARTS'],
  ])('is refused with %s in it', async (_what, text, reason) => {
    expect(await reasonOf(await fileWith(text))).toBe(reason);
  });

  it('is refused when it is not there', async () => {
    expect(await reasonOf(join(directory, 'none'))).toBe('TOKEN_FILE_UNREADABLE');
  });
});
