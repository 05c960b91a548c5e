import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Store } from '../../src/database/open-store.js';
import { openStore } from '../../src/database/open-store.js';
import { auditFindings } from './audit-findings.js';
import { StoreProcess } from './child-process.js';
import { temporaryDirectory } from './temporary-store.js';

const reopen = (dataDir: string): Promise<Store> =>
  openStore({ dataDir, masterKey: { kind: 'default-key-file' } });

// Starts processes, which takes long on a busy machine.
jest.setTimeout(90_000);

describe('SIGKILL', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await temporaryDirectory();
  });

  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  it('in the middle of a first start leaves what the next start takes up', async () => {
    const rounds = [0, 1, 2, 3].map((round) => ({
      dir: join(directory, String(round)),
      killAfterMs: 5 + 37 * round,
    }));
    for (const { dir, killAfterMs } of rounds) {
      const child = await StoreProcess.start();
      child.tell({ op: 'makeStores', dir });
      await new Promise((resolve) => setTimeout(resolve, killAfterMs * (0.5 + Math.random())));
      const made = await child.kill();
      const stores = await readdir(dir).catch(() => []);
      for (const name of stores) {
        const store = await reopen(join(dir, name));
        const told = made.find((answer) => answer['made'] === Number(name));
        if (told !== undefined) expect(store.storeId.toString('hex')).toBe(told['storeId']);
        expect(store.storeTime().sequence).toBe(1);
        expect(await auditFindings(store)).toEqual([]);
        await store.close();
      }
    }
  });

  it('among writes loses nothing that was acknowledged and splits no unit', async () => {
    const child = await StoreProcess.start();
    await child.ask({ op: 'open', dataDir: directory });
    child.tell({ op: 'writeForever' });
    const answers = [];
    for (let count = 0; count < 100; count += 1) answers.push(await child.next());
    answers.push(...(await child.kill()));

    const store = await reopen(directory);
    const names = await store.committed.secrets.list('request/');
    const first = names.filter((name) => name.endsWith('-first'));
    const second = names.filter((name) => name.endsWith('-second'));
    for (const { written } of answers) expect(names).toContain(`request/${String(written)}-second`);
    expect(second.map((name) => name.replace('second', 'first'))).toEqual(first);
    expect(store.storeTime().sequence).toBe(1 + first.length);
    expect(await auditFindings(store)).toEqual([]);
    await store.close();
  });
});
