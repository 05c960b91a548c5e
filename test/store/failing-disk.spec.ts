import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import BetterSqlite3 from 'better-sqlite3';
import type { Store } from '../../src/database/open-store.js';
import { openStore } from '../../src/database/open-store.js';
import { DomainError } from '../../src/errors/domain-error.js';
import { restoreStore } from '../../src/store/restore-store.js';
import { StoreBackups } from '../../src/store/store-backups.js';
import { ManualClock, systemClock } from '../../src/time/clock.js';
import { announcedSeed, rounds } from '../scale.js';
import { auditFindings } from './audit-findings.js';
import { SmallDisk } from './small-disk.js';
import { temporaryDirectory, TemporaryStore } from './temporary-store.js';

const masterKey = { kind: 'default-key-file' } as const;
const MIB = 1024 * 1024;

const write = (store: Store, number: number, size = 3_000): Promise<void> =>
  store.unitOfWork.run(async ({ secrets, audit }) => {
    await secrets.write(`request/${number}`, randomBytes(size));
    audit.append({ actor: 'system', source: 'local', action: 'test.written', subject: `n/${number}` });
  });

const numbers = async (store: Store): Promise<number[]> =>
  (await store.committed.secrets.list('request/'))
    .map((name) => Number(name.slice('request/'.length)))
    .sort((one, other) => one - other);

/** Writes until one is refused; returns the numbers that were acknowledged and the refusal. */
async function writeUntilRefused(store: Store): Promise<{ acknowledged: number[]; refusal: unknown }> {
  const acknowledged: number[] = [];
  for (let number = 0; ; number += 1) {
    const refusal = await write(store, number).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (refusal !== undefined) return { acknowledged, refusal };
    acknowledged.push(number);
  }
}

const full = { kind: 'unavailable', reason: 'STORE_FULL' };

describe('a full store', () => {
  it('keeps what it acknowledged, is not writable, and is again once there is room, without being opened anew', async () => {
    // Where nothing can be mounted: the same answer of SQLite by its own bound.
    const disk = SmallDisk.mount(3 * MIB);
    const temporary = await TemporaryStore.open({ clock: new ManualClock(1_790_000_000_000) });
    const dataDir = disk === undefined ? temporary.dataDir : join(disk.path, 'data');
    const store =
      disk === undefined ? temporary.store : await openStore({ dataDir, masterKey, clock: systemClock });
    const bound = (pages: number): Promise<unknown> =>
      store.unitOfWork.run(({ tables }) => tables.query(`PRAGMA max_page_count = ${pages}`));
    await store.requireWritable();
    if (disk === undefined) await bound(150);
    else await disk.fill();

    const { acknowledged, refusal } = await writeUntilRefused(store);
    expect(refusal).toMatchObject(full);
    for (let again = 0; again < 3; again += 1)
      await expect(store.requireWritable()).rejects.toMatchObject(full);
    expect(await numbers(store)).toEqual(acknowledged);

    if (disk === undefined) await bound(100_000);
    else await disk.free();
    await store.requireWritable();
    await write(store, 9_999);
    expect(await numbers(store)).toEqual([...acknowledged, 9_999]);
    expect(await auditFindings(store)).toEqual([]);
    if (disk !== undefined) {
      await store.close();
      disk.remove();
    }
    await temporary.remove();
  });

  it('is not writable because a small write still fits', async () => {
    const temporary = await TemporaryStore.open();
    const { store } = temporary;
    await store.requireWritable();
    await store.unitOfWork.run(({ tables }) => tables.query('PRAGMA max_page_count = 150'));
    expect((await writeUntilRefused(store)).refusal).toMatchObject(full);
    await write(store, 0, 10);
    await expect(store.requireWritable()).rejects.toMatchObject(full);
    await temporary.remove();
  });
});

const probe = SmallDisk.mount(MIB);
probe?.remove();
const onADisk = probe === undefined ? describe.skip : describe;

onADisk('on a disk of its own', () => {
  let disk: SmallDisk;
  let dataDir: string;
  let store: Store | undefined;
  const open = async (): Promise<Store> => (store = await openStore({ dataDir, masterKey }));

  beforeEach(() => {
    disk = SmallDisk.mount(4 * MIB)!;
    dataDir = join(disk.path, 'data');
  });
  afterEach(async () => {
    await store?.close();
    store = undefined;
    disk.remove();
  });

  it('a backup for which there is no room leaves nothing, and the store goes on', async () => {
    const opened = await open();
    for (let number = 0; number < 10; number += 1) await write(opened, number, 100_000);
    await disk.fill(MIB / 2);
    const backups = new StoreBackups({ store: opened, dataDir });
    const caller = { kind: 'operator', operatorId: 'a', role: 'admin', source: '127.0.0.1' } as const;
    const take = async (): Promise<number> => {
      let bytes = 0;
      for await (const item of backups.make(caller)) if (item.kind === 'chunk') bytes += item.bytes.length;
      return bytes;
    };
    await expect(take()).rejects.toMatchObject(full);
    expect((await readdir(dataDir)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    await write(opened, 10);
    expect(await numbers(opened)).toHaveLength(11);
  });

  it('a restore for which there is no room leaves no store, and runs when there is', async () => {
    const original = await TemporaryStore.open();
    for (let number = 0; number < 10; number += 1) await write(original.store, number, 100_000);
    const backup = join(original.dataDir, 'backup.db');
    await writeFile(backup, '', { mode: 0o600 });
    await original.store.copyTo(backup);
    await mkdir(dataDir, { mode: 0o700 });
    await copyFile(join(original.dataDir, 'store.key'), join(dataDir, 'store.key'));
    await disk.fill();
    const restore = (): Promise<unknown> => restoreStore({ dataDir, backup, masterKey, clock: systemClock });
    await expect(restore()).rejects.toMatchObject(full);
    expect((await readdir(dataDir)).filter((name) => name !== 'palyra.lock')).toEqual(['store.key']);
    await disk.free();
    await restore();
    expect(await numbers(await open())).toEqual([]);
    await original.remove();
  });

  it('a first start on a full or read-only disk says so, and the next one takes it up', async () => {
    await mkdir(dataDir, { mode: 0o700 });
    await disk.fill();
    await expect(open()).rejects.toMatchObject(full);
    await disk.free();
    disk.setWritable(false);
    await expect(open()).rejects.toMatchObject({ kind: 'unavailable', reason: 'STORE_READ_ONLY' });
    disk.setWritable(true);
    await write(await open(), 1);
  });

  it('a store on a read-only disk is not opened, and is as it was on a writable one', async () => {
    await write(await open(), 1);
    await store?.close();
    disk.setWritable(false);
    await expect(open()).rejects.toMatchObject({ kind: 'unavailable', reason: 'STORE_UNREADABLE' });
    disk.setWritable(true);
    expect(await numbers(await open())).toEqual([1]);
  });
});

describe('a locked store', () => {
  it('is not writable, and is again when the lock is gone', async () => {
    const clock = new ManualClock(1_790_000_000_000);
    const temporary = await TemporaryStore.open({ clock });
    await temporary.store.requireWritable();
    const other = new BetterSqlite3(join(temporary.dataDir, 'palyra.db'));
    other.exec('BEGIN IMMEDIATE');
    clock.advance(5_000);
    const busy = { kind: 'unavailable', reason: 'STORE_BUSY' };
    await expect(temporary.store.requireWritable()).rejects.toMatchObject(busy);
    await expect(temporary.store.requireWritable()).rejects.toMatchObject(busy);
    other.close();
    await temporary.store.requireWritable();
    await temporary.remove();
  });

  it('is asked by writing, but not again within five seconds', async () => {
    const clock = new ManualClock(1_790_000_000_000);
    const temporary = await TemporaryStore.open({ clock });
    const file = new BetterSqlite3(join(temporary.dataDir, 'palyra.db'));
    const version = (): unknown => file.pragma('data_version', { simple: true });
    const before = version();
    await temporary.store.requireWritable();
    const first = version();
    expect(first).not.toBe(before);
    clock.advance(4_999);
    await temporary.store.requireWritable();
    expect(version()).toBe(first);
    clock.advance(1);
    await temporary.store.requireWritable();
    expect(version()).not.toBe(first);
    file.close();
    await temporary.remove();
  });
});

describe('a damaged database file', () => {
  let directory: string;
  let dataDir: string;
  let values: Map<string, Buffer>;
  let original: Buffer;

  beforeEach(async () => {
    directory = await temporaryDirectory();
    dataDir = join(directory, 'data');
    values = new Map(Array.from({ length: 60 }, (_none, index) => [`request/${index}`, randomBytes(700)]));
    const store = await openStore({ dataDir, masterKey });
    await store.unitOfWork.run(async ({ secrets }) => {
      for (const [name, value] of values) await secrets.write(name, value);
    });
    await store.close();
    original = await readFile(join(dataDir, 'palyra.db'));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  /** Opens the store and reads all of it; each value is right or refused. Returns the reasons of the refusals. */
  async function reasons(): Promise<string[]> {
    const found: string[] = [];
    const note = (error: unknown): undefined => {
      if (!(error instanceof DomainError)) throw error;
      found.push(error.reason);
    };
    const store = await openStore({ dataDir, masterKey }).catch(note);
    if (store === undefined) return found;
    try {
      for (const [name, value] of values) {
        const read = await store.committed.secrets.read(name).catch(note);
        if (read !== undefined) expect(read).toEqual(value);
      }
      await store.auditLog.entries({ after: 0, limit: 10 }).catch(note);
      await store.requireWritable().catch(note);
    } finally {
      await store.close();
    }
    return found;
  }

  it('is refused by its reason or read right, wherever a bit flipped or it was cut', async () => {
    const many = rounds(20, 3_000);
    const seed = announcedSeed('damaged database files', many);
    const file = join(dataDir, 'palyra.db');
    const known =
      /^(?:STORE_(?:DAMAGED|KEY_WRONG|KEY_WRONG_KIND|SCRYPT_COST|NEWER)|RECORD_\w+|INTEGER_OUT_OF_RANGE|AUDIT_LOG_DAMAGED)$/;
    let refused = 0;
    for (let round = 0; round < many; round += 1) {
      for (const suffix of ['-wal', '-shm']) await rm(file + suffix, { force: true });
      const bit = (seed * 17 + round * 104_729) % (original.length * 8);
      const damaged = round % 5 === 0 ? original.subarray(0, bit >> 3) : Buffer.from(original);
      if (round % 5 !== 0) damaged[bit >> 3] = damaged[bit >> 3]! ^ (1 << (bit & 7));
      await writeFile(file, damaged);
      const found = await reasons();
      for (const reason of found) expect(reason).toMatch(known);
      if (found.length > 0) refused += 1;
    }
    expect(refused).toBeGreaterThan(many / 20);
  });

  it('that is found while it is in use turns the store unwritable for good, though writes would still pass', async () => {
    const file = join(dataDir, 'palyra.db');
    const page = Math.floor(original.indexOf(sealedRecord(file, 'request/50')) / 4096) * 4096;
    const damaged = Buffer.from(original);
    // The header of a page of the table: what kind of page it is, and where its cells are.
    damaged.fill(0xff, page, page + 12);
    await writeFile(file, damaged);
    const store = await openStore({ dataDir, masterKey });
    await store.requireWritable();
    const readAll = async (): Promise<void> => {
      for (const name of values.keys()) await store.committed.secrets.read(name);
    };
    await expect(readAll()).rejects.toMatchObject({ kind: 'corrupt', reason: 'STORE_DAMAGED' });
    for (let again = 0; again < 2; again += 1) {
      await expect(store.requireWritable()).rejects.toMatchObject({
        kind: 'corrupt',
        reason: 'STORE_DAMAGED',
      });
    }
    await store.close();
  });
});

function sealedRecord(file: string, name: string): Buffer {
  const database = new BetterSqlite3(file, { readonly: true });
  const row = database
    .prepare<[string], { record: Buffer }>('SELECT record FROM secret WHERE name = ?')
    .get(name);
  database.close();
  return row!.record;
}
