import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { openStore, type Store } from '../src/database/open-store.js';
import { systemRandomBytes } from '../src/random/random-bytes.js';
import { RecordSealer } from '../src/secret-store/record-sealer.js';
import { ratioTo, timeTogether, wallRatioTo, type Case } from './harness.js';
import type { Result } from './report.js';

/** Bytes of a record: about a device's identity. */
const RECORD_BYTES = 512;
const CALLERS = [1, 32, 256];
const UNIT_SETTINGS = { rounds: 9, warmUpMs: 1500, turnMs: 400 };

/** Sealed records beside the bare cipher; durable units of work beside bare commits of SQLite in the same directory. */
export async function benchStore(): Promise<Result[]> {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-bench-'));
  try {
    return [await benchRecords(), await benchUnits(directory)];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function benchRecords(): Promise<Result> {
  const dataKey = { id: randomBytes(16), key: randomBytes(32) };
  const sealer = new RecordSealer(randomBytes(16), [dataKey], systemRandomBytes);
  const plaintext = randomBytes(RECORD_BYTES);
  const sealed = sealer.seal('device/bench', plaintext);
  const timings = await timeTogether([
    { name: 'limit: ChaCha20-Poly1305, seal', run: () => bareSeal(dataKey.key, plaintext) },
    { name: 'sealed record, write', run: () => sealer.seal('device/bench', plaintext) },
    { name: 'limit: ChaCha20-Poly1305, open', run: bareOpen(dataKey.key, plaintext) },
    { name: 'sealed record, read', run: () => sealer.open('device/bench', sealed) },
  ]);
  const [sealLimit, write, openLimit, read] = timings;
  if (!sealLimit || !write || !openLimit || !read) throw new Error('nothing was measured');
  const ratios = [
    { name: 'write beside the bare cipher', value: ratioTo(sealLimit, write) },
    { name: 'read beside the bare cipher', value: ratioTo(openLimit, read) },
  ];
  return { name: `sealed records of ${RECORD_BYTES} bytes, without a database`, timings, ratios };
}

const CIPHER = 'chacha20-poly1305';
const NONCE = Buffer.alloc(12);

function bareSeal(key: Buffer, plaintext: Buffer): { sealed: Buffer; tag: Buffer } {
  const cipher = createCipheriv(CIPHER, key, NONCE, { authTagLength: 16 });
  const sealed = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return { sealed, tag: cipher.getAuthTag() };
}

function bareOpen(key: Buffer, plaintext: Buffer): () => Buffer {
  const { sealed, tag } = bareSeal(key, plaintext);
  return () => {
    const decipher = createDecipheriv(CIPHER, key, NONCE, { authTagLength: 16 });
    decipher.setAuthTag(tag);
    return Buffer.concat([decipher.update(sealed), decipher.final()]);
  };
}

async function benchUnits(directory: string): Promise<Result> {
  const store = await openStore({
    dataDir: join(directory, 'store'),
    masterKey: { kind: 'default-key-file' },
  });
  const database = bareDatabase(join(directory, 'bare.db'));
  try {
    const cases = [database.commits, ...CALLERS.map((callers) => unitsOf(store, callers))];
    const timings = await timeTogether(cases, UNIT_SETTINGS);
    const [limit, ...units] = timings;
    if (!limit) throw new Error('nothing was measured');
    const ratios = units.map((timing) => ({
      name: `${timing.name}, beside one row a commit`,
      value: wallRatioTo(limit, timing),
    }));
    return { name: 'units of work: one sealed record and one audit entry, durable', timings, ratios };
  } finally {
    database.close();
    await store.close();
  }
}

/** SQLite as the store sets it, a row of the same size in a commit of its own: one fsync each. */
function bareDatabase(path: string): { commits: Case; close: () => void } {
  const database = new Database(path);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.exec('CREATE TABLE record (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID');
  const insert = database.prepare('INSERT INTO record VALUES (?, ?)');
  const value = randomBytes(RECORD_BYTES);
  let next = 0;
  const run = (): unknown => insert.run(`device/${(next += 1)}`, value);
  return { commits: { name: 'SQLite, one row a commit', run }, close: () => database.close() };
}

function unitsOf(store: Store, callers: number): Case {
  const value = randomBytes(RECORD_BYTES);
  let next = 0;
  const unit = (): Promise<void> =>
    store.unitOfWork.run(async ({ secrets, audit }) => {
      next += 1;
      const name = `device/${callers}-${next}`;
      await secrets.write(name, value);
      audit.append({ actor: 'system', source: 'local', action: 'bench.unit', subject: name });
    });
  const run = (): Promise<unknown> => Promise.all(Array.from({ length: callers }, unit));
  return { name: `units of work, ${callers} at a time`, run, operations: callers };
}
