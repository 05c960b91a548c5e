import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import BetterSqlite3 from 'better-sqlite3';
import { openStore } from '../../src/database/open-store.js';
import { TemporaryStore } from './temporary-store.js';

const masterKey = { kind: 'default-key-file' } as const;

/** Makes a table anew with its rows, and with one more rule. */
const remade = (rule: string): string =>
  `ALTER TABLE "secret" RENAME TO "before";
   CREATE TABLE "secret" ("name" text PRIMARY KEY NOT NULL, "record" blob NOT NULL, ${rule});
   INSERT OR IGNORE INTO "secret" ("name", "record") SELECT "name", "record" FROM "before";
   DROP TABLE "before"`;

describe('a database that somebody has changed', () => {
  let temporary: TemporaryStore;
  beforeEach(async () => {
    temporary = await TemporaryStore.open();
    await temporary.store.close();
  });
  afterEach(async () => {
    await temporary.remove();
  });

  function change(sql: string): void {
    const database = new BetterSqlite3(join(temporary.dataDir, 'palyra.db'));
    database.exec(sql);
    database.close();
  }

  it.each([
    ['rows that a table drops without a word', '"g" integer AS (1), UNIQUE ("g") ON CONFLICT IGNORE'],
    ['rows that take the place of others', 'CONSTRAINT "c" UNIQUE ("record") ON/**/cOnFlIcT REPLACE'],
    ['rows that go with those of another table', 'FOREIGN KEY ("name") REFERENCES "secret" ("name")'],
  ])('is refused: %s', async (_what, rule) => {
    change(remade(rule));
    await expect(openStore({ dataDir: temporary.dataDir, masterKey })).rejects.toMatchObject({
      kind: 'corrupt',
      reason: 'STORE_DAMAGED',
      message: expect.stringContaining('the rules of table "secret"'),
    });
  });

  it('is refused: a trigger that puts back what is deleted', async () => {
    change(
      `CREATE TRIGGER "undo" AFTER DELETE ON "secret" BEGIN
         INSERT INTO "secret" ("name", "record") VALUES (OLD."name", OLD."record"); END`,
    );
    await expect(openStore({ dataDir: temporary.dataDir, masterKey })).rejects.toMatchObject({
      kind: 'corrupt',
      reason: 'STORE_DAMAGED',
    });
  });

  it('is told by the name of a record that is no bytes', async () => {
    change(`UPDATE "secret" SET "record" = 'x' WHERE "name" = 'check'`);
    await expect(openStore({ dataDir: temporary.dataDir, masterKey })).rejects.toMatchObject({
      kind: 'corrupt',
      reason: 'RECORD_UNKNOWN_FORMAT',
      message: expect.stringContaining('"check"'),
    });
  });

  it('is taken with a table of another program, which does nothing', async () => {
    change('CREATE TABLE _seq (id INTEGER PRIMARY KEY, "as_conflict" INTEGER)');
    expect((await temporary.reopen()).storeTime().sequence).toBe(1);
  });
});
