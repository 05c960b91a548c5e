import { expect, it } from '@jest/globals';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { createWindowsFilePrivacy, type RunProgram } from './windows-file-privacy.js';

const PATH = String.raw`C:\data\store.key`;
const DONE = 'Successfully processed 1 files; Failed processing 0 files';
const stats = await stat(tmpdir());

const judge =
  (icacls: () => string, whoami = 'desktop-7q1\\ada\r\n') =>
  (): void => {
    const run: RunProgram = (program) => (program === 'whoami' ? whoami : icacls());
    createWindowsFilePrivacy(run).requirePrivate(PATH, stats);
  };
const listOf = (entry: string) => (): string => `${PATH} ${entry}\r\n\r\n${DONE}\r\n`;

it('a file of this user alone is private', () => {
  expect(judge(listOf(String.raw`DESKTOP-7Q1\ada:(F)`))).not.toThrow();
});

it('a file that others get at is refused, with who they are and what mends it', () => {
  const refused = judge(listOf(String.raw`BUILTIN\Users:(I)(RX)`));
  expect(refused).toThrow(expect.objectContaining({ reason: 'STORE_FILE_EXPOSED' }));
  expect(refused).toThrow(String.raw`Others (BUILTIN\Users) can get at ${PATH}: run ${'`'}icacls "${PATH}" `);
});

it.each([
  [
    'icacls is not there',
    () => {
      throw new Error('ENOENT');
    },
    undefined,
  ],
  ['icacls answers in another form', () => 'ok', undefined],
  ['whoami answers in another form', listOf(String.raw`DESKTOP-7Q1\ada:(F)`), 'ada'],
])('is refused when %s', (_, icacls: () => string, whoami) => {
  expect(judge(icacls, whoami)).toThrow(expect.objectContaining({ reason: 'STORE_FILE_ACCESS_UNKNOWN' }));
});
