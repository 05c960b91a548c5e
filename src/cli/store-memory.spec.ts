import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { StoreMemory } from './store-memory.js';

describe('StoreMemory', () => {
  let root: string;
  let complaints: string[];
  let memory: StoreMemory;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'palyra-memory-'));
    complaints = [];
    memory = at(join(root, 'state', 'palyra', 'ca.json'));
  });

  afterEach(async () => {
    await rm(root, { recursive: true });
  });

  const at = (path: string): StoreMemory => new StoreMemory(path, (text) => complaints.push(text));

  it('keeps the highest, in a private file', async () => {
    expect(await memory.read()).toBeUndefined();
    await memory.raise({ epoch: 10, sequence: 5 });
    await memory.raise({ epoch: 10, sequence: 4 });
    await memory.raise({ epoch: 9, sequence: 99 });
    expect(await memory.read()).toEqual({ epoch: 10, sequence: 5 });
    await memory.raise({ epoch: 11, sequence: 1 });
    expect(await memory.read()).toEqual({ epoch: 11, sequence: 1 });
    expect((await stat(memory.path)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(memory.path))).mode & 0o777).toBe(0o700);
    expect(await readdir(dirname(memory.path))).toEqual(['ca.json']);
    expect(complaints).toEqual([]);
  });

  it('takes up what another command has written meanwhile', async () => {
    await memory.raise({ epoch: 10, sequence: 5 });
    await at(memory.path).raise({ epoch: 10, sequence: 9 });
    await memory.raise({ epoch: 10, sequence: 7 });
    expect(await memory.read()).toEqual({ epoch: 10, sequence: 9 });
  });

  it('says once that the file is damaged, and writes it anew', async () => {
    await mkdir(dirname(memory.path), { recursive: true });
    await writeFile(memory.path, '{"v":1,"epoch":-1');
    expect(await memory.read()).toBeUndefined();
    await memory.raise({ epoch: 10, sequence: 5 });
    expect(complaints).toEqual([expect.stringContaining(`${memory.path} cannot be read (it is damaged)`)]);
    expect(JSON.parse(await readFile(memory.path, 'utf8'))).toEqual({ v: 1, epoch: 10, sequence: 5 });
  });

  it('says once that it cannot be written, and goes on', async () => {
    await writeFile(join(root, 'state'), 'a file in the way');
    expect(await memory.read()).toBeUndefined();
    await memory.raise({ epoch: 10, sequence: 5 });
    expect(complaints).toEqual([expect.stringContaining('ENOTDIR')]);
  });
});
