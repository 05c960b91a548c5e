import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openStore } from '../../src/database/open-store.js';
import { createEmptyPrivateFile } from '../../src/secret-store/private-file.js';
import { isUnconfirmed } from '../../src/store/quarantine.js';
import { restoreStore } from '../../src/store/restore-store.js';
import { systemClock } from '../../src/time/clock.js';
import { announcedSeed, rounds, timeLimit } from '../scale.js';
import { auditFindings } from './audit-findings.js';
import { type Answer, StoreProcess } from './child-process.js';
import { temporaryDirectory } from './temporary-store.js';

const masterKey = { kind: 'default-key-file' } as const;
const ROUNDS = rounds(3, 30);
const LIMIT_MS = timeLimit(90_000, ROUNDS / 3);
/** Within which the kill comes, milliseconds after the first of them was done: several of them. */
const SPREAD_MS = 250;

describe('SIGKILL', () => {
  let directory: string;
  let dataDir: string;
  let key: string;
  const at = (name: string): string => join(directory, name);

  beforeEach(async () => {
    directory = await temporaryDirectory();
    dataDir = at('data');
    key = join(dataDir, 'store.key');
    const store = await openStore({ dataDir, masterKey });
    for (let number = 0; number < 40; number += 1) {
      await store.unitOfWork.run(({ secrets }) =>
        secrets.write(`operator/${number}`, Buffer.from('{"v":1}')),
      );
    }
    await store.close();
  });
  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  async function restored(backup: string, name: string): Promise<{ dir: string; epoch: number }> {
    const dir = at(name);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await copyFile(key, join(dir, 'store.key'));
    const { epoch } = await restoreStore({ dataDir: dir, backup, masterKey, clock: systemClock });
    return { dir, epoch };
  }

  it(
    'in the middle of a backup leaves none of that name or a whole one, and the store as it was acknowledged',
    async () => {
      const seed = announcedSeed('backups that are killed', ROUNDS);
      for (let round = 0; round < ROUNDS; round += 1) {
        const backups = at(`backups-${round}`);
        await mkdir(backups);
        const child = await StoreProcess.start();
        await child.ask({ op: 'open', dataDir });
        child.tell({ op: 'backupForever', dir: backups });
        const answers: Answer[] = [];
        while (answers.every((answer) => answer['backup'] === undefined)) answers.push(await child.next());
        await sleep(delay(seed, round));
        answers.push(...(await child.kill()));

        const names = (await readdir(backups)).filter((name) => name.endsWith('.db'));
        const told = answers.filter((answer) => answer['backup'] !== undefined);
        expect(names).toEqual(expect.arrayContaining(told.map((answer) => `${String(answer['backup'])}.db`)));
        for (const name of names) {
          const { dir } = await restored(join(backups, name), `of-${round}-${name}`);
          const copy = await openStore({ dataDir: dir, masterKey });
          const { sequence } = copy.restore!.backup;
          const answer = told.find((each) => `${String(each['backup'])}.db` === name);
          if (answer !== undefined) expect(sequence).toBe(answer['sequence']);
          expect(await copy.committed.secrets.list('operator/')).toHaveLength(40);
          expect(await auditFindings(copy)).toEqual([]);
          await copy.close();
        }
        const store = await openStore({ dataDir, masterKey });
        const written = await store.committed.secrets.list('request/');
        const acknowledged = answers.flatMap(({ written: number }) =>
          typeof number === 'number' ? [number] : [],
        );
        for (const number of acknowledged) expect(written).toContain(`request/${number}-second`);
        expect((await readdir(dataDir)).filter((name) => name.includes('.tmp'))).toEqual([]);
        expect(await auditFindings(store)).toEqual([]);
        await store.close();
      }
    },
    LIMIT_MS,
  );

  it(
    'in the middle of a restore leaves no store or a whole one, and the same command goes on',
    async () => {
      const seed = announcedSeed('restores that are killed', ROUNDS);
      const store = await openStore({ dataDir, masterKey });
      const backup = join(dataDir, 'backup.db');
      await createEmptyPrivateFile(backup);
      const { sequence } = await store.copyTo(backup);
      await store.close();
      for (let round = 0; round < ROUNDS; round += 1) {
        const dir = at(`round-${round}`);
        const child = await StoreProcess.start();
        child.tell({ op: 'restoreForever', dir, backup, key });
        const answers = [await child.next()];
        await sleep(delay(seed, round));
        answers.push(...(await child.kill()));
        for (const name of await readdir(dir)) {
          const place = join(dir, name);
          const there = (await readdir(place)).includes('palyra.db');
          const told = answers.find((answer) => answer['restored'] === Number(name));
          if (told !== undefined) expect(there).toBe(true);
          await copyFile(key, join(place, 'store.key'));
          const again = await restoreStore({ dataDir: place, backup, masterKey, clock: systemClock }).then(
            () => 'RESTORED',
            (error: unknown) => (error as { reason: string }).reason,
          );
          expect(again).toBe(there ? 'STORE_EXISTS' : 'RESTORED');
          const whole = await openStore({ dataDir: place, masterKey });
          expect(isUnconfirmed(whole.restore)).toBe(true);
          if (told !== undefined) expect(whole.storeTime().epoch).toBe(told['epoch']);
          expect(whole.storeTime().sequence).toBe(sequence + 1);
          expect(await whole.committed.secrets.list('operator/')).toHaveLength(40);
          expect(await auditFindings(whole)).toEqual([]);
          await whole.close();
          expect((await readdir(place)).filter((left) => left.includes('.tmp'))).toEqual([]);
        }
      }
    },
    LIMIT_MS,
  );
});

const delay = (seed: number, round: number): number => ((seed % 1_000) * 7 + round * 97) % SPREAD_MS;
