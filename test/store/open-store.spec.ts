import { chmod, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import BetterSqlite3 from 'better-sqlite3';
import type { MigrationInterface } from 'typeorm';
import type { OpenStoreOptions, Store } from '../../src/database/open-store.js';
import { openStore } from '../../src/database/open-store.js';
import { entities, migrations } from '../../src/database/schema.js';
import { SqliteDatabase } from '../../src/database/sqlite-database.js';
import type { MasterKeySource } from '../../src/secret-store/master-key.js';
import { SecretRow } from '../../src/secret-store/secret.entity.js';
import { ManualClock } from '../../src/time/clock.js';
import { auditFindings } from './audit-findings.js';
import { temporaryDirectory } from './temporary-store.js';

const PLAINTEXT = 'what nobody may read on this disk';
const PASSPHRASE_COST = { n: 2 ** 15, r: 8, p: 1 };

let directory: string;
let dataDir: string;
let opened: Store[];

beforeEach(async () => {
  directory = await temporaryDirectory();
  dataDir = directory;
  opened = [];
});

afterEach(async () => {
  for (const store of opened) await store.close();
  await rm(directory, { recursive: true, force: true });
});

async function open(options: Partial<OpenStoreOptions> = {}): Promise<Store> {
  const store = await openStore({ dataDir, masterKey: { kind: 'default-key-file' }, ...options });
  opened.push(store);
  return store;
}

/** Makes a store with one record and closes it. */
async function makeStore(options: Partial<OpenStoreOptions> = {}): Promise<Store> {
  const store = await open(options);
  await store.unitOfWork.run((unit) => unit.secrets.write('cluster', Buffer.from(PLAINTEXT)));
  await store.close();
  return store;
}

/** Changes the closed database behind the store's back. */
function tamper(change: (database: BetterSqlite3.Database) => void): void {
  const database = new BetterSqlite3(join(dataDir, 'palyra.db'));
  change(database);
  database.close();
}

/** All rows of the closed database that make the store what it is. */
function contents(): unknown {
  const database = new BetterSqlite3(join(dataDir, 'palyra.db'));
  const tables = ['store', 'secret', 'audit_entry', 'audit_head'];
  const rows = tables.map((table) => database.prepare(`SELECT * FROM "${table}" ORDER BY 1`).all());
  database.close();
  return rows;
}

const file = (name: string): string => join(dataDir, name);
const recordOf = async (store: Store): Promise<string | undefined> =>
  (await store.committed.secrets.read('cluster'))?.toString();

describe('the first start', () => {
  it('makes directory, key, store and first audit entry, and the second one finds them', async () => {
    dataDir = join(directory, 'below', 'here');
    const clock = new ManualClock(1_780_000_000_123);
    const store = await open({ clock });
    expect(store.created).toBe(true);
    expect(store.storeId).toHaveLength(16);
    expect(store.storeTime()).toEqual({ epoch: 1_780_000_000_123, sequence: 1 });
    expect(store.highestTimeMs()).toBe(1_780_000_000_123);
    expect(await store.auditLog.entries({ after: 0, limit: 10 })).toMatchObject([
      {
        epoch: 1_780_000_000_123,
        sequence: 1,
        timeMs: 1_780_000_000_123,
        actor: 'system',
        source: 'local',
        action: 'store.created',
        subject: 'store',
        reason: '',
        details: '{}',
        previous: Buffer.alloc(32),
      },
    ]);
    expect(await auditFindings(store)).toEqual([]);
    await store.close();
    clock.advance(1_000);
    const again = await open({ clock });
    expect(again.created).toBe(false);
    expect(again.storeId).toEqual(store.storeId);
    expect(again.storeTime()).toEqual({ epoch: 1_780_000_000_123, sequence: 1 });
    expect(await again.auditLog.publicKey()).toHaveLength(44);
  });

  it('makes files that only this user can read', async () => {
    const store = await open();
    await store.unitOfWork.run((unit) => unit.secrets.write('cluster', Buffer.from('x')));
    const names = await readdir(dataDir);
    expect(names.sort()).toEqual(['palyra.db', 'palyra.db-shm', 'palyra.db-wal', 'palyra.lock', 'store.key']);
    for (const name of names) expect((await stat(file(name))).mode & 0o777).toBe(0o600);
    expect(await readFile(file('store.key'), 'latin1')).toMatch(/^[0-9a-f]{64}\n$/);
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
  });
});

describe('a directory whose database is gone', () => {
  const leftBehind = ['ca.pem'];

  it.each(['missing', 'empty'])(
    'gets no new store when what is left says that there was one: %s',
    async (state) => {
      await makeStore();
      for (const name of ['palyra.db-wal', 'palyra.db-shm', 'store.key'])
        await rm(file(name), { force: true });
      await rename(file('palyra.db'), file('moved.db'));
      if (state === 'empty') await writeFile(file('palyra.db'), '', { mode: 0o600 });
      await writeFile(file('ca.pem'), 'the roots', { mode: 0o600 });
      const left = await readdir(dataDir);
      if (state === 'empty') await writeFile(file('store.key'), `${'ab'.repeat(32)}\n`, { mode: 0o600 });
      await expect(open({ leftBehind })).rejects.toMatchObject({ reason: 'STORE_MISSING' });
      if (state === 'missing') expect(await readdir(dataDir)).toEqual(left);
      await rm(file('ca.pem'));
      expect((await open({ leftBehind })).created).toBe(true);
    },
  );
});

describe('the database', () => {
  it('writes no plaintext to any file, and the search for it would find one', async () => {
    const store = await open();
    await store.unitOfWork.run((unit) => unit.secrets.write('cluster', Buffer.from(PLAINTEXT)));
    const files = ['palyra.db', 'palyra.db-wal', 'palyra.db-shm'];
    const contents = async (): Promise<string> =>
      (await Promise.all(files.map((name) => readFile(file(name), 'latin1')))).join('');
    expect(await contents()).toContain('cluster');
    expect(await contents()).not.toContain(PLAINTEXT);
    const reason = `planted: ${PLAINTEXT}`;
    await store.unitOfWork.run((unit) => {
      unit.audit.append({
        actor: 'system',
        source: 'local',
        action: 'test.planted',
        subject: 'test',
        reason,
      });
      return Promise.resolve();
    });
    expect(await contents()).toContain(PLAINTEXT);
  });

  it('syncs every commit, at the first opening and at each later one', async () => {
    const pragmas = async (store: Store): Promise<unknown> =>
      store.unitOfWork.run(async ({ tables }) => [
        await tables.query<unknown>('PRAGMA synchronous'),
        await tables.query<unknown>('PRAGMA journal_mode'),
        await tables.query<unknown>('PRAGMA foreign_keys'),
      ]);
    const expected = [[{ synchronous: 2 }], [{ journal_mode: 'wal' }], [{ foreign_keys: 1 }]];
    const first = await open();
    expect(await pragmas(first)).toEqual(expected);
    await first.close();
    expect(await pragmas(await open())).toEqual(expected);
  });

  it('has the tables that the entities say', async () => {
    await makeStore();
    const database = await SqliteDatabase.open(file('palyra.db'), { entities, migrations });
    expect(await database.drift()).toEqual([]);
    await database.writer.undoLastMigration();
    expect(await database.drift()).not.toEqual([]);
    await database.close();
  });

  it('tells of a lock or a ban on writing by its reason, and goes on when it is gone', async () => {
    const store = await open();
    const write = (): Promise<void> =>
      store.unitOfWork.run((unit) => unit.secrets.write('cluster', Buffer.from('x')));
    const other = new BetterSqlite3(file('palyra.db'));
    other.exec('BEGIN IMMEDIATE');
    await expect(write()).rejects.toMatchObject({
      kind: 'unavailable',
      reason: 'STORE_BUSY',
      retryAfterMs: 1_000,
    });
    other.close();
    await store.unitOfWork.run(async ({ tables, secrets }) => {
      await tables.query('PRAGMA query_only = ON');
      const banned = secrets.write('cluster', Buffer.from('x'));
      await expect(banned).rejects.toMatchObject({ kind: 'unavailable', reason: 'STORE_READ_ONLY' });
      await tables.query('PRAGMA query_only = OFF');
    });
    await expect(write()).resolves.toBeUndefined();
  });

  it('refuses reads once it is closed', async () => {
    const { committed } = await makeStore();
    const closed = expect.objectContaining({ kind: 'unavailable', reason: 'STORE_CLOSED' });
    await expect(committed.secrets.read('cluster')).rejects.toEqual(closed);
    await expect(committed.tables.find(SecretRow)).rejects.toEqual(closed);
  });

  it('cannot be written, nor held up by a transaction, through the committed reader', async () => {
    const { committed } = await open();
    const readOnly = expect.objectContaining({ reason: 'STORE_READ_ONLY' });
    await expect(committed.tables.delete(SecretRow, { name: 'check' })).rejects.toEqual(readOnly);
    const transaction = committed.tables.transaction((tables) => tables.find(SecretRow));
    await expect(transaction).rejects.toMatchObject({ reason: 'TRANSACTION_CONTROL' });
  });

  it('applies the migrations of a newer version, and is then closed to the older one', async () => {
    await makeStore();
    class AddNote1790000000000 implements MigrationInterface {
      async up(queryRunner: Parameters<MigrationInterface['up']>[0]): Promise<void> {
        await queryRunner.query('CREATE TABLE "note" ("id" integer PRIMARY KEY NOT NULL)');
      }
      down(): Promise<void> {
        return Promise.resolve();
      }
    }
    const store = await open({ schema: { entities, migrations: [...migrations, AddNote1790000000000] } });
    expect(await recordOf(store)).toBe(PLAINTEXT);
    await store.close();
    await expect(open()).rejects.toMatchObject({
      kind: 'wrong_state',
      reason: 'STORE_NEWER',
      message: expect.stringContaining('AddNote1790000000000'),
    });
  });

  it.each([
    ['a store without its row', 'DELETE FROM "store"'],
    [
      'a store without its row and its audit log',
      'DELETE FROM "store"; DELETE FROM "audit_entry"; DELETE FROM "audit_head"',
    ],
    ['a store without its check', `DELETE FROM "secret" WHERE "name" = 'check'`],
    ['wrapped keys of the wrong length', `UPDATE "store" SET "wrapped_keys" = x'00'`],
    ['an epoch that is no number', `UPDATE "store" SET "epoch" = 'x'`],
    ['an audit log without its last entry', 'DELETE FROM "audit_entry" WHERE "sequence" = 1'],
    ['an audit log without its head', 'DELETE FROM "audit_head"'],
    ['an audit head of another hash', `UPDATE "audit_head" SET "hash" = zeroblob(32)`],
    ['an audit log without anything', 'DELETE FROM "audit_entry"; DELETE FROM "audit_head"'],
    ['an audit log of texts', `UPDATE "audit_head" SET "hash" = 'x'; UPDATE "audit_entry" SET "hash" = 'x'`],
    ['an epoch that no entry has', 'UPDATE "store" SET "epoch" = "epoch" - 1'],
    ['wrapped keys that are a text', `UPDATE "store" SET "wrapped_keys" = hex("wrapped_keys")`],
    ["half of scrypt's parameters", 'UPDATE "store" SET "scrypt_n" = 32768'],
  ])('says of %s that it is damaged, and leaves it as it is', async (_what, damage) => {
    await makeStore();
    tamper((database) => database.exec(damage));
    const damaged = contents();
    await expect(open()).rejects.toMatchObject({ kind: 'corrupt', reason: 'STORE_DAMAGED' });
    expect(contents()).toEqual(damaged);
  });

  it('says of a file that is no database that it is damaged', async () => {
    await makeStore();
    await writeFile(file('palyra.db'), 'x'.repeat(10_000));
    await expect(open()).rejects.toMatchObject({ kind: 'corrupt', reason: 'STORE_DAMAGED' });
  });

  it('names the record that was altered, swapped or cut', async () => {
    await makeStore();
    tamper((database) => {
      database.exec(
        `UPDATE "secret" SET "record" = (SELECT "record" FROM "secret" WHERE "name" = 'check') WHERE "name" = 'cluster'`,
      );
    });
    const store = await open();
    await expect(store.committed.secrets.read('cluster')).rejects.toMatchObject({
      kind: 'corrupt',
      reason: 'RECORD_DOES_NOT_OPEN',
      message: expect.stringContaining('"cluster"'),
    });
    await store.close();
    tamper((database) => database.exec(`UPDATE "secret" SET "record" = x'01' WHERE "name" = 'check'`));
    await expect(open()).rejects.toMatchObject({
      reason: 'RECORD_TOO_SHORT',
      message: expect.stringContaining('"check"'),
    });
  });
});

describe('the master key', () => {
  it('is never made anew for a store that is there', async () => {
    await makeStore();
    await rm(file('store.key'));
    await expect(open()).rejects.toMatchObject({
      kind: 'wrong_state',
      reason: 'STORE_KEY_MISSING',
      message: expect.stringContaining(file('store.key')),
    });
    expect(await readdir(dataDir)).not.toContain('store.key');
  });

  it('that is wrong is one clear error, and the right one still opens', async () => {
    await makeStore();
    await rename(file('store.key'), file('right.key'));
    await writeFile(file('store.key'), `${'0'.repeat(64)}\n`, { mode: 0o600 });
    await expect(open()).rejects.toMatchObject({ kind: 'wrong_state', reason: 'STORE_KEY_WRONG' });
    const store = await open({ masterKey: { kind: 'key-file', path: file('right.key') } });
    expect(await recordOf(store)).toBe(PLAINTEXT);
  });

  it.each([
    '',
    '0'.repeat(63),
    `${'0'.repeat(64)}0\n`,
    `${'0'.repeat(64)}\n\n`,
    'g'.repeat(64),
    'A'.repeat(64),
  ])('is refused if its file holds %j', async (content) => {
    await writeFile(file('store.key'), content, { mode: 0o600 });
    await expect(open()).rejects.toMatchObject({ reason: 'STORE_KEY_MALFORMED' });
    expect(await readdir(dataDir)).not.toContain('palyra.db');
  });

  it("is not made at a path of somebody's choice", async () => {
    const masterKey: MasterKeySource = { kind: 'key-file', path: file('mounted.key') };
    await expect(open({ masterKey })).rejects.toMatchObject({
      reason: 'STORE_KEY_MISSING',
      message: expect.stringContaining('openssl rand -hex 32'),
    });
    await writeFile(file('real.key'), `${'5'.repeat(64)}\n`, { mode: 0o600 });
    await symlink(file('real.key'), file('mounted.key'));
    expect(await recordOf(await makeAndReopen(masterKey))).toBe(PLAINTEXT);
  });

  it('is derived from a passphrase, whose line end does not count', async () => {
    const masterKey: MasterKeySource = {
      kind: 'passphrase-file',
      path: file('phrase'),
      cost: PASSPHRASE_COST,
    };
    await writeFile(file('phrase'), 'correct horse battery staple orbit lamp\r\n', { mode: 0o600 });
    await makeStore({ masterKey });
    expect(await readdir(dataDir)).not.toContain('store.key');
    await writeFile(file('phrase'), 'correct horse battery staple orbit lamp');
    const store = await open({ masterKey });
    expect(await recordOf(store)).toBe(PLAINTEXT);
    await store.close();
    await writeFile(file('phrase'), 'correct horse batterie staple orbit lamp');
    await expect(open({ masterKey })).rejects.toMatchObject({ reason: 'STORE_KEY_WRONG' });
    await writeFile(file('phrase'), 'short');
    await expect(open({ masterKey })).rejects.toMatchObject({ reason: 'STORE_PASSPHRASE_TOO_SHORT' });
    await rm(file('phrase'));
    await expect(open({ masterKey })).rejects.toMatchObject({ reason: 'STORE_KEY_MISSING' });
    await writeFile(file('other.key'), `${'5'.repeat(64)}\n`, { mode: 0o600 });
    const keyFile = open({ masterKey: { kind: 'key-file', path: file('other.key') } });
    await expect(keyFile).rejects.toMatchObject({ reason: 'STORE_KEY_WRONG_KIND' });
  });

  it('is not derived at a cost that somebody has lowered in the file', async () => {
    const masterKey: MasterKeySource = {
      kind: 'passphrase-file',
      path: file('phrase'),
      cost: PASSPHRASE_COST,
    };
    await writeFile(file('phrase'), 'correct horse battery staple orbit lamp', { mode: 0o600 });
    await makeStore({ masterKey });
    tamper((database) => database.exec('UPDATE "store" SET "scrypt_n" = 16384'));
    await expect(open({ masterKey })).rejects.toMatchObject({ kind: 'corrupt', reason: 'STORE_SCRYPT_COST' });
  });

  async function makeAndReopen(masterKey: MasterKeySource): Promise<Store> {
    await makeStore({ masterKey });
    return open({ masterKey });
  }
});

describe('permissions', () => {
  it.each(['store.key', 'palyra.db', 'palyra.lock'])(
    'refuses to start on a %s that others can read',
    async (name) => {
      await makeStore();
      for (const mode of [0o640, 0o604, 0o660]) {
        await chmod(file(name), mode);
        await expect(open()).rejects.toMatchObject({
          kind: 'wrong_state',
          reason: 'STORE_FILE_EXPOSED',
          message: expect.stringContaining(`chmod 600 ${file(name)}`),
        });
      }
      await chmod(file(name), 0o600);
      expect(await recordOf(await open())).toBe(PLAINTEXT);
    },
  );

  it('refuses what others can read of a database that was left open', async () => {
    await makeStore();
    await writeFile(file('palyra.db-wal'), '');
    await chmod(file('palyra.db-wal'), 0o644);
    await expect(open()).rejects.toMatchObject({ reason: 'STORE_FILE_EXPOSED' });
  });

  it('refuses a directory that others can enter', async () => {
    await chmod(dataDir, 0o750);
    await expect(open()).rejects.toMatchObject({
      reason: 'STORE_FILE_EXPOSED',
      message: expect.stringContaining(`chmod 700 ${dataDir}`),
    });
    await chmod(dataDir, 0o700);
  });

  it('refuses a mounted key or a passphrase that others can read, behind its link', async () => {
    await writeFile(file('real'), `${'5'.repeat(64)}\n`);
    await chmod(file('real'), 0o644);
    await symlink(file('real'), file('link'));
    for (const kind of ['key-file', 'passphrase-file'] as const) {
      const refused = open({ masterKey: { kind, path: file('link') } });
      await expect(refused).rejects.toMatchObject({ reason: 'STORE_FILE_EXPOSED' });
    }
  });

  it('follows no link inside the data directory', async () => {
    const elsewhere = await temporaryDirectory();
    await writeFile(join(elsewhere, 'key'), `${'5'.repeat(64)}\n`, { mode: 0o600 });
    await symlink(join(elsewhere, 'key'), file('store.key'));
    await expect(open()).rejects.toMatchObject({ reason: 'STORE_FILE_UNREADABLE' });
    await rm(file('store.key'));
    await symlink(join(elsewhere, 'db'), file('palyra.db'));
    await expect(open()).rejects.toMatchObject({ reason: 'STORE_FILE_UNREADABLE' });
    expect(await readdir(elsewhere)).toEqual(['key']);
    await rm(elsewhere, { recursive: true });
  });

  it('refuses a data directory that is a file', async () => {
    await writeFile(file('taken'), '');
    const refused = openStore({ dataDir: file('taken'), masterKey: { kind: 'default-key-file' } });
    await expect(refused).rejects.toMatchObject({ reason: 'STORE_FILE_UNREADABLE' });
    await mkdir(file('store.key'));
    await expect(open()).rejects.toMatchObject({ reason: 'STORE_FILE_UNREADABLE' });
  });
});
