import { randomBytes } from 'node:crypto';
import { appendFile, copyFile, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import BetterSqlite3 from 'better-sqlite3';
import type { Store } from '../../src/database/open-store.js';
import { openStore } from '../../src/database/open-store.js';
import { encodeJsonRecord } from '../../src/secret-store/json-record.js';
import { createEmptyPrivateFile } from '../../src/secret-store/private-file.js';
import { isUnconfirmed } from '../../src/store/quarantine.js';
import { type RestoreOptions, type Restored, restoreStore } from '../../src/store/restore-store.js';
import { ManualClock } from '../../src/time/clock.js';
import { announcedSeed, rounds } from '../scale.js';
import { auditFindings } from './audit-findings.js';
import { temporaryDirectory, TemporaryStore } from './temporary-store.js';

const masterKey = { kind: 'default-key-file' } as const;
const record = (): Buffer => encodeJsonRecord({ text: randomBytes(250).toString('hex') });
const RECORD_BYTES = record().length;
const START = 1_790_000_000_000;

/** A backup of a small store, and a data directory beside it that holds only the key. */
class Scene {
  private constructor(
    readonly directory: string,
    readonly backup: string,
    readonly original: Store,
    readonly temporary: TemporaryStore,
  ) {}

  static async make(): Promise<Scene> {
    const directory = await temporaryDirectory();
    const temporary = await TemporaryStore.open({ clock: new ManualClock(START) });
    const { store } = temporary;
    await store.unitOfWork.run(async ({ secrets, audit }) => {
      for (let count = 0; count < 40; count += 1) await secrets.write(`operator/${count}`, record());
      await secrets.write('code/AAAA', record());
      await secrets.write('request/one', record());
      audit.append({ actor: 'system', source: 'local', action: 'test.written', subject: 'test' });
    });
    const backup = join(directory, 'backup.db');
    await createEmptyPrivateFile(backup);
    await store.copyTo(backup);
    return new Scene(directory, backup, store, temporary);
  }

  async dataDir(name: string): Promise<string> {
    const dataDir = join(this.directory, name);
    await mkdir(dataDir, { mode: 0o700 });
    await copyFile(join(this.temporary.dataDir, 'store.key'), join(dataDir, 'store.key'));
    return dataDir;
  }

  async remove(): Promise<void> {
    await this.temporary.remove();
    await rm(this.directory, { recursive: true, force: true });
  }
}

describe('restore', () => {
  let scene: Scene;
  let dataDir: string;
  let count = 0;
  const clock = new ManualClock(START + 5_000);
  const restore = (changes: Partial<RestoreOptions> = {}): Promise<Restored> =>
    restoreStore({ dataDir, backup: scene.backup, masterKey, clock, ...changes });

  beforeAll(async () => {
    scene = await Scene.make();
  });
  afterAll(async () => {
    await scene.remove();
  });
  beforeEach(async () => {
    dataDir = await scene.dataDir(`data-${(count += 1)}`);
  });

  it('makes a whole store in quarantine, of a new epoch, without codes and pending requests', async () => {
    const before = scene.original.storeTime();
    expect(await restore()).toMatchObject({
      backup: { storeId: scene.original.storeId, ...before },
      epoch: START + 5_000,
      droppedCodes: 1,
      endedOperators: 0,
      findings: [],
    });
    expect(await readdir(dataDir)).toEqual(['palyra.db', 'palyra.lock', 'store.key']);
    const store = await openStore({ dataDir, masterKey, clock });
    expect(isUnconfirmed(store.restore)).toBe(true);
    expect(store.restore?.backup.sequence).toBe(before.sequence);
    expect(store.storeTime()).toEqual({ epoch: START + 5_000, sequence: before.sequence + 1 });
    expect(await store.committed.secrets.list('code/')).toEqual([]);
    expect(await store.committed.secrets.list('request/')).toEqual([]);
    expect(await store.committed.secrets.list('operator/')).toHaveLength(40);
    const [last, first] = await store.auditLog.entries({ after: before.sequence - 1, limit: 2 });
    expect(first).toMatchObject({ epoch: START + 5_000, action: 'store.restored', previous: last?.hash });
    expect(await auditFindings(store)).toEqual([]);
    await store.close();
  });

  it('ends the operators of the backup when it is asked to', async () => {
    expect(await restore({ endOperators: true })).toMatchObject({ endedOperators: 40 });
    const store = await openStore({ dataDir, masterKey, clock });
    expect(await store.committed.secrets.list('operator/')).toEqual([]);
    const { sequence } = store.storeTime();
    const [entry] = await store.auditLog.entries({ after: sequence - 1, limit: 1 });
    expect(JSON.parse(entry!.details)).toMatchObject({ ended_operators: 40 });
    await store.close();
  });

  it.each([
    ['its own', START - 1_000, 0, START + 1],
    ['that of the audit log that went on from it', START - 1_000, START + 900, START + 901],
  ])('begins an epoch above %s, whatever the clock says', async (_what, now, later, epoch) => {
    const readLater = (): Promise<number> => Promise.resolve(later);
    expect((await restore({ clock: new ManualClock(now), readLater })).epoch).toBe(epoch);
  });

  it('puts nothing over a store, nor beside what is left of one', async () => {
    for (const name of ['palyra.db', 'palyra.db-wal', 'palyra.db-journal']) {
      await createEmptyPrivateFile(join(dataDir, name));
      await expect(restore()).rejects.toMatchObject({ kind: 'wrong_state', reason: 'STORE_EXISTS' });
      await rm(join(dataDir, name));
    }
    await restore();
    await expect(restore()).rejects.toMatchObject({ reason: 'STORE_EXISTS' });
  });

  it('waits for no other process', async () => {
    await restore();
    const store = await openStore({ dataDir, masterKey });
    await expect(restore()).rejects.toMatchObject({ reason: 'STORE_IN_USE' });
    await store.close();
  });

  const left = async (): Promise<string[]> =>
    (await readdir(dataDir)).filter((name) => name !== 'palyra.lock');

  it('puts nothing in place without the key, or with another', async () => {
    await writeFile(join(dataDir, 'store.key'), `${'ab'.repeat(32)}\n`);
    await expect(restore()).rejects.toMatchObject({ reason: 'STORE_KEY_WRONG' });
    await rm(join(dataDir, 'store.key'));
    await expect(restore()).rejects.toMatchObject({ reason: 'STORE_KEY_MISSING' });
    expect(await left()).toEqual([]);
  });

  it('puts nothing in place when the audit export does not hold', async () => {
    await expect(restore({ readLater: () => Promise.reject(new Error('forged')) })).rejects.toThrow('forged');
    expect(await left()).toEqual(['store.key']);
  });

  it('takes no database with a WAL beside it, no directory, and nothing that is not there', async () => {
    const torn = join(scene.directory, `torn-${count}.db`);
    await copyFile(scene.backup, torn);
    await writeFile(`${torn}-wal`, 'x');
    for (const backup of [torn, scene.directory, join(scene.directory, 'nothing')]) {
      await expect(restore({ backup })).rejects.toMatchObject({
        kind: 'malformed',
        reason: 'BACKUP_UNREADABLE',
      });
    }
    expect(await left()).toEqual(['store.key']);
  });

  it('makes a store that does not leave its quarantine without its record, whatever epoch its row says', async () => {
    await restore();
    const database = new BetterSqlite3(join(dataDir, 'palyra.db'));
    database.exec(
      `DELETE FROM "secret" WHERE "name" = 'restore';
       UPDATE "store" SET "epoch" = (SELECT "epoch" FROM "audit_entry" ORDER BY "sequence" LIMIT 1)`,
    );
    database.close();
    await expect(openStore({ dataDir, masterKey, clock })).rejects.toMatchObject({ reason: 'STORE_DAMAGED' });
  });

  it('removes what an earlier one left that was cut off', async () => {
    for (const suffix of ['', '-wal', '-shm']) {
      await writeFile(join(dataDir, `restore-0123456789ab.tmp${suffix}`), 'x', { mode: 0o600 });
    }
    await restore();
    expect(await readdir(dataDir)).toEqual(['palyra.db', 'palyra.lock', 'store.key']);
  });

  it('says that the backup is damaged when the record of its audit key does not open', async () => {
    const damaged = join(scene.directory, 'no-audit-key.db');
    await copyFile(scene.backup, damaged);
    const database = new BetterSqlite3(damaged);
    database.prepare(`UPDATE "secret" SET "record" = zeroblob(100) WHERE "name" = 'audit-key'`).run();
    database.close();
    await expect(restore({ backup: damaged })).rejects.toMatchObject({ reason: 'BACKUP_DAMAGED' });
    expect(await left()).toEqual(['store.key']);
  });

  it.each([
    [
      'a trigger that puts back what is deleted',
      `CREATE TRIGGER "undo" AFTER DELETE ON "secret" BEGIN
         INSERT INTO "secret" ("name", "record") VALUES (OLD."name", OLD."record"); END`,
    ],
    [
      'a table that keeps no tries',
      `DROP TABLE "pairing_try";
       CREATE TABLE "pairing_try" ("code_id" text PRIMARY KEY NOT NULL, "tries" integer NOT NULL, "audited" integer NOT NULL,
         "last_at" bigint NOT NULL, "all" integer AS (1), UNIQUE ("all") ON CONFLICT IGNORE);
       INSERT INTO "pairing_try" ("code_id", "tries", "audited", "last_at") VALUES ('ZZZZ', 1, 1, 9999999999999)`,
    ],
    ['a view', 'CREATE VIEW "devices" AS SELECT * FROM "secret"'],
    ['a virtual table', 'CREATE VIRTUAL TABLE "search" USING fts5("text")'],
  ])('restores no backup that somebody has given %s', async (_what, sql) => {
    const changed = join(scene.directory, 'changed.db');
    await copyFile(scene.backup, changed);
    const database = new BetterSqlite3(changed);
    database.exec(sql);
    database.close();
    await expect(restore({ backup: changed })).rejects.toMatchObject({ reason: 'BACKUP_DAMAGED' });
    expect(await left()).toEqual(['store.key']);
  });

  it('finds a backup that was cut, changed or put together wrongly, or restores what still is a whole store', async () => {
    const many = rounds(20, 1_000);
    const seed = announcedSeed('damaged backups', many);
    const original = await readFile(scene.backup);
    const damaged = join(scene.directory, 'damaged.db');
    let refused = 0;
    for (let round = 0; round < many; round += 1) {
      const at = (seed * 31 + round * 7_919) % (original.length * 8);
      await writeFile(damaged, original);
      if (round % 4 === 0) await truncate(damaged, at >> 3);
      else if (round % 4 === 1) await appendFile(damaged, randomBytes(100));
      else await writeFile(damaged, flipped(original, at));
      const dir = await scene.dataDir(`damaged-${round}`);
      const outcome = await restore({ backup: damaged, dataDir: dir }).then(
        ({ findings }) => ({ reason: 'RESTORED', findings }),
        (error: unknown) => ({
          reason: (error as { reason?: string }).reason ?? String(error),
          findings: [],
        }),
      );
      if (outcome.reason === 'RESTORED') {
        const store = await openStore({ dataDir: dir, masterKey });
        expect(isUnconfirmed(store.restore)).toBe(true);
        const open = await store.committed.secrets.list('operator/');
        const unopened = outcome.findings.map(({ record }) => record);
        for (const name of open) {
          if (!unopened.includes(name))
            expect(await store.committed.secrets.read(name)).toHaveLength(RECORD_BYTES);
        }
        await store.close();
      } else {
        refused += 1;
        expect([
          'BACKUP_DAMAGED',
          'STORE_KEY_WRONG',
          'STORE_KEY_WRONG_KIND',
          'STORE_SCRYPT_COST',
          'STORE_NEWER',
        ]).toContain(outcome.reason);
        expect(await readdir(dir)).toEqual(['palyra.lock', 'store.key']);
      }
      await rm(dir, { recursive: true });
    }
    expect(refused).toBeGreaterThan(many / 5);
  });
});

function flipped(bytes: Buffer, bit: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[bit >> 3] = changed[bit >> 3]! ^ (1 << (bit & 7));
  return changed;
}

describe('the copy of a store in use', () => {
  let temporary: TemporaryStore;
  beforeEach(async () => {
    temporary = await TemporaryStore.open();
  });
  afterEach(async () => {
    await temporary.remove();
  });

  it('holds what was committed when it began, whole, while units go on', async () => {
    const { store, dataDir } = temporary;
    const write = (number: number): Promise<void> =>
      store.unitOfWork.run(async ({ secrets, audit }) => {
        await secrets.write(`request/${number}-first`, randomBytes(3_000));
        audit.append({ actor: 'system', source: 'local', action: 'test.written', subject: `n/${number}` });
        await secrets.write(`request/${number}-second`, randomBytes(3_000));
      });
    for (let number = 0; number < 200; number += 1) await write(number);
    const target = join(dataDir, 'copy.db');
    await createEmptyPrivateFile(target);
    const { sequence } = store.storeTime();
    const state = { copying: true };
    let during = 0;
    const copy = store.copyTo(target).finally(() => {
      state.copying = false;
    });
    while (state.copying) await write(200 + (during += 1));
    expect(await copy).toMatchObject({ storeId: store.storeId, epoch: store.storeTime().epoch });
    expect((await copy).sequence).toBeGreaterThanOrEqual(sequence);
    expect((await copy).sequence).toBeLessThan(store.storeTime().sequence);
    expect(during).toBeGreaterThan(1);

    const other = join(dataDir, 'other');
    await mkdir(other, { mode: 0o700 });
    await copyFile(join(dataDir, 'store.key'), join(other, 'store.key'));
    await copyFile(target, join(other, 'palyra.db'));
    const opened = await openStore({ dataDir: other, masterKey });
    const names = await opened.committed.secrets.list('request/');
    const firsts = names.filter((name) => name.endsWith('-first'));
    expect(names).toHaveLength(2 * firsts.length);
    expect(opened.storeTime().sequence).toBe(1 + firsts.length);
    expect(await auditFindings(opened)).toEqual([]);
    await opened.close();
  });
});
