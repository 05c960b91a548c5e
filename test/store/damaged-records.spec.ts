import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import BetterSqlite3 from 'better-sqlite3';
import type { Database } from 'better-sqlite3';
import fc from 'fast-check';
import { verifyOffline } from '../../src/database/offline-verification.js';
import type { Store } from '../../src/database/open-store.js';
import type { RecordFinding, VerificationItem } from '../../src/secret-store/record-verification.js';
import { announcedSeed, rounds, timeLimit } from '../scale.js';
import { TemporaryStore } from './temporary-store.js';

const RUNS = rounds(500, 20_000);
/** As many as a young cluster has, and of every length that a cipher may treat differently. */
const NAMES = [
  'cluster',
  'ca/00',
  'server/grpc',
  'operator/7zk4m9qx',
  'code/K7QM',
  'request/r-1',
  'device/01K9',
];

interface StoredRecord {
  readonly name: string;
  readonly record: Buffer;
}

describe('a damaged record', () => {
  let temporary: TemporaryStore;
  /** What somebody who can write the file has. */
  let file: Database;
  let records: readonly StoredRecord[];

  beforeAll(async () => {
    temporary = await TemporaryStore.open();
    for (const [index, name] of NAMES.entries()) {
      const value = Buffer.from(JSON.stringify({ v: 1, text: 'x'.repeat(index * 37) }));
      await temporary.store.unitOfWork.run((unit) => unit.secrets.write(name, value));
    }
    file = new BetterSqlite3(join(temporary.dataDir, 'palyra.db'));
    records = file.prepare<[], StoredRecord>('SELECT "name", "record" FROM "secret" ORDER BY "name"').all();
  });

  afterAll(async () => {
    file.close();
    await temporary.remove();
  });

  const put = (name: string, record: Buffer): void => {
    file.prepare('UPDATE "secret" SET "record" = ? WHERE "name" = ?').run(record, name);
  };

  /** Damages, verifies, and puts everything back. */
  async function findingsWith(damaged: readonly StoredRecord[]): Promise<RecordFinding[]> {
    for (const { name, record } of damaged) put(name, record);
    try {
      return await findings(temporary.store);
    } finally {
      for (const { name, record } of records) put(name, record);
    }
  }

  it('is not there in a store that nobody touched', async () => {
    expect(await findings(temporary.store)).toEqual([]);
  });

  it(
    'is detected and named, whichever bit was flipped, byte cut off or row swapped',
    async () => {
      const seed = announcedSeed('damaged records', RUNS);
      const any = fc.nat({ max: 2 ** 30 });
      const damage = fc.oneof(
        fc.record({ kind: fc.constant('flip' as const), row: any, place: any }),
        fc.record({ kind: fc.constant('cut' as const), row: any, place: any }),
        fc.record({ kind: fc.constant('swap' as const), row: any, place: any }),
      );
      const property = fc.asyncProperty(damage, async ({ kind, row, place }) => {
        const one = records[row % records.length]!;
        const damaged = { flip, cut, swap }[kind](one, place, records);
        const found = await findingsWith(damaged);
        expect(found.map(({ record }) => record)).toEqual(damaged.map(({ name }) => name).sort());
        for (const { name } of damaged) {
          const read = temporary.store.committed.secrets.read(name);
          // Put back by now: it opens again, so the finding was about the damage.
          expect(await read).toBeDefined();
        }
      });
      await fc.assert(property, { numRuns: RUNS, seed });
    },
    timeLimit(60_000, 40),
  );

  it('is named without the service too, also where that cannot start', async () => {
    const { store, dataDir } = temporary;
    const sources = { current: { kind: 'default-key-file' as const }, dataDir };
    await expect(collect(verifyOffline(sources))).rejects.toMatchObject({ reason: 'STORE_IN_USE' });
    await store.close();
    try {
      expect(await collect(verifyOffline(sources))).toEqual([]);
      const damaged = ['check', 'cluster'].flatMap((name) =>
        flip(
          records.find((row) => row.name === name)!,
          500,
        ),
      );
      for (const { name, record } of damaged) put(name, record);
      await expect(temporary.reopen()).rejects.toMatchObject({ message: expect.stringContaining('"check"') });
      expect((await collect(verifyOffline(sources))).map(({ record }) => record)).toEqual([
        'check',
        'cluster',
      ]);
    } finally {
      for (const { name, record } of records) put(name, record);
      await temporary.reopen();
    }
    const empty = { ...sources, dataDir: join(dataDir, 'none') };
    await expect(collect(verifyOffline(empty))).rejects.toMatchObject({ reason: 'STORE_MISSING' });
  });

  it('stops whoever reads it, with an error that names it', async () => {
    const cluster = records.find(({ name }) => name === 'cluster')!;
    for (const damaged of [flip(cluster, 8 * 60), cut(cluster, 3)].flat()) {
      put(damaged.name, damaged.record);
      await expect(temporary.store.committed.secrets.read('cluster')).rejects.toMatchObject({
        kind: 'corrupt',
        message: expect.stringContaining('"cluster"'),
      });
    }
    put(cluster.name, cluster.record);
  });

  it('is named for what no cipher sees: a record that is text, a name that is none, a value of no known form', async () => {
    await temporary.store.unitOfWork.run((unit) => unit.secrets.write('ca/01', Buffer.from('no JSON')));
    file.exec(`UPDATE "secret" SET "record" = 'text' WHERE "name" = 'ca/00'`);
    file.exec(`UPDATE "secret" SET "name" = x'ff' WHERE "name" = 'server/grpc'`);
    expect(await findings(temporary.store)).toEqual([
      { record: 'ca/00', reason: 'RECORD_CORRUPT' },
      { record: 'ca/01', reason: 'RECORD_CORRUPT' },
      { record: '(object instead of a name)', reason: 'RECORD_CORRUPT' },
    ]);
  });
});

async function findings(store: Store): Promise<RecordFinding[]> {
  return collect(store.verifyRecords());
}

async function collect(items: AsyncIterable<VerificationItem>): Promise<RecordFinding[]> {
  const found: RecordFinding[] = [];
  for await (const item of items) if (item.kind === 'finding') found.push(item.finding);
  return found;
}

function flip({ name, record }: StoredRecord, place: number): StoredRecord[] {
  const bit = place % (record.length * 8);
  const flipped = Buffer.from(record);
  flipped[bit >> 3]! ^= 1 << (bit & 7);
  return [{ name, record: flipped }];
}

function cut({ name, record }: StoredRecord, place: number): StoredRecord[] {
  return [{ name, record: record.subarray(0, place % record.length) }];
}

function swap(one: StoredRecord, place: number, records: readonly StoredRecord[]): StoredRecord[] {
  const others = records.filter(({ name }) => name !== one.name);
  const other = others[place % others.length]!;
  return [
    { name: one.name, record: other.record },
    { name: other.name, record: one.record },
  ];
}
