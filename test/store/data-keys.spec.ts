import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import BetterSqlite3 from 'better-sqlite3';
import { DataKeys } from '../../src/database/data-keys.js';
import type { StoreFields } from '../../src/database/store.entity.js';
import { openStoreKeys, readStoreRow } from '../../src/database/store-keys.js';
import { type DataKey, sealRecord } from '../../src/secret-store/sealed-record.js';
import { type DataKeyResult, DataKeyChange } from '../../src/store/data-key-change.js';
import { TemporaryStore } from './temporary-store.js';

const BY = { actor: 'operator/7zk4m9qx', source: '127.0.0.1', reason: '' };
const RECORDS = 300;

let temporary: TemporaryStore;
let events: string[];

beforeEach(async () => {
  temporary = await TemporaryStore.open();
  events = [];
  await temporary.store.unitOfWork.run(async ({ secrets }) => {
    for (let number = 0; number < RECORDS; number += 1) await secrets.write(nameOf(number), valueOf(number));
  });
});

afterEach(async () => {
  await temporary.remove();
});

const nameOf = (number: number): string => `request/r-${String(number).padStart(4, '0')}`;
const valueOf = (number: number): Buffer => Buffer.from(JSON.stringify({ v: 1, number }));

function dataKeys(): DataKeys {
  const { keyring, unitOfWork, committed } = temporary.store;
  return new DataKeys(keyring, unitOfWork, committed, randomBytes);
}

function newChange(): DataKeyChange {
  return new DataKeyChange(dataKeys(), {
    started: (isResumed) => events.push(isResumed ? 'resumed' : 'started'),
    ended: ({ finished }) => events.push(finished ? 'finished' : 'ended'),
    failed: () => events.push('failed'),
  });
}

const keyIds = (): string[] => temporary.store.keyring.sealer.dataKeyIds.map((id) => id.toString('hex'));

function tamper(sql: string): void {
  const file = new BetterSqlite3(join(temporary.dataDir, 'palyra.db'));
  file.exec(sql);
  file.close();
}

async function expectAllThere(): Promise<void> {
  const { secrets } = temporary.store.committed;
  for (let number = 0; number < RECORDS; number += 1) {
    expect(await secrets.read(nameOf(number))).toEqual(valueOf(number));
  }
}

describe('a new data key', () => {
  it('seals every record, in small units between which others write, and the old one goes', async () => {
    const before = keyIds();
    const change = newChange();
    const run = await change.start(BY);
    const seen: number[] = [];
    let written = 0;
    while (!run.isOver) {
      // Nothing is told before the records are counted.
      if (run.progress !== undefined) seen.push(run.progress.done);
      expect(run.progress?.total).not.toBe(0);
      await temporary.store.unitOfWork.run(({ secrets }) =>
        secrets.write(`ca/${String(written)}`, valueOf(written)),
      );
      written += 1;
      await run.changed();
    }
    expect(await run.result).toMatchObject({ findings: [], finished: true });
    expect(written).toBeGreaterThan(5);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(keyIds()).toHaveLength(1);
    expect(keyIds()).not.toEqual(before);
    await expectAllThere();
    await temporary.reopen();
    expect(keyIds()).toHaveLength(1);
    await expectAllThere();
    expect(events).toEqual(['started', 'finished']);
  });

  it('is one for all who ask while it is made', async () => {
    const change = newChange();
    const runs = await Promise.all([change.start(BY), change.start(BY)]);
    expect(runs[0]).toBe(runs[1]);
    expect(await change.start(BY)).toBe(runs[0]);
    await runs[0].result;
    expect(events).toEqual(['started', 'finished']);
  });

  it('goes on where a restart has cut it off', async () => {
    const change = newChange();
    const run = await change.start(BY);
    while ((run.progress?.done ?? 0) === 0) await run.changed();
    await change.onModuleDestroy();
    expect(await run.result).toMatchObject({ finished: false, findings: [] });
    const half = (await run.result).resealed;
    expect(half).toBeGreaterThan(0);
    await temporary.reopen();
    expect(keyIds()).toHaveLength(2);
    await expectAllThere();
    const result = await new Promise<DataKeyResult>((resolve, reject) => {
      new DataKeyChange(dataKeys(), {
        started: () => undefined,
        ended: resolve,
        failed: reject,
      }).onModuleInit();
    });
    expect(result.finished).toBe(true);
    // Those that were done stay done; the rest, with the store's own records, comes now.
    expect(result.resealed).toBeGreaterThanOrEqual(RECORDS - half);
    expect(result.resealed).toBeLessThan(RECORDS);
    expect(keyIds()).toHaveLength(1);
    await expectAllThere();
  });

  it('leaves the old one as long as a record does not open, and names it; then it goes', async () => {
    const name = nameOf(7);
    tamper(`UPDATE "secret" SET "record" = zeroblob(80) WHERE "name" = '${name}'`);
    const change = newChange();
    const first = await (await change.start(BY)).result;
    expect(first).toMatchObject({
      findings: [{ record: name, reason: 'RECORD_UNKNOWN_FORMAT' }],
      finished: false,
    });
    const both = keyIds();
    expect(both).toHaveLength(2);
    await temporary.store.unitOfWork.run(({ secrets }) => secrets.write(name, valueOf(7)));
    const second = await (await change.start(BY)).result;
    expect(second).toMatchObject({ resealed: 0, findings: [], finished: true });
    expect(keyIds()).toEqual([both[1]]);
    await expectAllThere();
  });

  it('does not let the old one go while anything is sealed under it', async () => {
    const keys = dataKeys();
    await keys.add(BY);
    await expect(keys.dropOld(BY, {})).rejects.toMatchObject({ reason: 'DATA_KEY_IN_USE' });
    expect(keyIds()).toHaveLength(2);
    await expectAllThere();
  });

  it('that could not be stored is not used', async () => {
    const file = new BetterSqlite3(join(temporary.dataDir, 'palyra.db'));
    file.exec('BEGIN IMMEDIATE');
    await expect(newChange().start(BY)).rejects.toMatchObject({ reason: 'STORE_BUSY' });
    file.close();
    expect(keyIds()).toHaveLength(1);
    await temporary.store.unitOfWork.run(({ secrets }) => secrets.write(nameOf(0), valueOf(0)));
    await temporary.reopen();
    await expectAllThere();
  });

  it('goes together with a new master key, in either order', async () => {
    const change = newChange();
    const run = await change.start(BY);
    await temporary.store.keyring.rekey({ prepared: false }, BY);
    expect((await run.result).finished).toBe(true);
    await temporary.store.keyring.rekey({ prepared: false }, BY);
    await temporary.reopen();
    await expectAllThere();
  });
});

describe('a data key that is gone, put back by somebody who knows it and has a copy of the row', () => {
  const forged = 'operator/aaaaaaaa';

  function row(): StoreFields {
    const file = new BetterSqlite3(join(temporary.dataDir, 'palyra.db'), { readonly: true });
    const found = readStoreRow(file);
    file.close();
    if (found === undefined) throw new Error('no store');
    return found;
  }

  /** What the old key and the old database give away. */
  async function leakedDataKey(): Promise<DataKey> {
    const text = await readFile(join(temporary.dataDir, 'store.key'), 'latin1');
    const { dataKeys } = await openStoreKeys(row(), { kind: 'key', secret: Buffer.from(text.trim(), 'hex') });
    return dataKeys[0]!;
  }

  function putBack(copy: StoreFields, leaked: DataKey): void {
    const { wrappedKeys, storeId } = row();
    const record = sealRecord(leaked, { storeId, name: forged }, Buffer.from('{"v":1}'), randomBytes(32));
    writeRow(Buffer.concat([copy.wrappedKeys, wrappedKeys]));
    const file = new BetterSqlite3(join(temporary.dataDir, 'palyra.db'));
    file.prepare('INSERT INTO "secret" VALUES (?, ?)').run(forged, record);
    file.close();
  }

  function writeRow(wrappedKeys: Buffer): void {
    const file = new BetterSqlite3(join(temporary.dataDir, 'palyra.db'));
    file.prepare('UPDATE "store" SET "wrapped_keys" = ?').run(wrappedKeys);
    file.close();
  }

  it('opens nothing once the master key was changed after it', async () => {
    const leaked = await leakedDataKey();
    const { keyring } = temporary.store;
    await keyring.rekey({ prepared: false }, BY);
    const copy = row();
    const run = await newChange().start(BY);
    await run.result;
    await keyring.rekey({ prepared: false }, BY);
    await temporary.store.close();
    const whole = row();
    putBack(copy, leaked);
    await expect(temporary.reopen()).rejects.toMatchObject({ reason: 'STORE_KEY_WRONG' });

    writeRow(whole.wrappedKeys);
    await temporary.reopen();
    await expect(temporary.store.committed.secrets.read(forged)).rejects.toMatchObject({
      reason: 'RECORD_UNKNOWN_DATA_KEY',
    });
  });
});
