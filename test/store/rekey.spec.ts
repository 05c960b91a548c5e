import { chmod, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import BetterSqlite3 from 'better-sqlite3';
import type { OpenStoreOptions, Store } from '../../src/database/open-store.js';
import { openStore } from '../../src/database/open-store.js';
import type { MasterKeySource } from '../../src/secret-store/master-key.js';
import { auditFindings } from './audit-findings.js';
import { temporaryDirectory } from './temporary-store.js';

const BY = { actor: 'operator/7zk4m9qx', source: '127.0.0.1', reason: 'yearly' };
const SECRET = JSON.stringify({ v: 1, text: 'what the records say' });
const COST = { n: 2 ** 15, r: 8, p: 1 };
const PHRASE = 'correct horse battery staple orbit lamp';
const OTHER_PHRASE = 'seven quiet rivers bend under old stone';

let directory: string;
let dataDir: string;
let opened: Store[];

beforeEach(async () => {
  directory = await temporaryDirectory();
  dataDir = join(directory, 'data');
  opened = [];
});

afterEach(async () => {
  for (const store of opened) await store.close();
  await rm(directory, { recursive: true, force: true });
});

const file = (name: string): string => join(directory, name);
const keyFile = (name: string): MasterKeySource => ({ kind: 'key-file', path: file(name) });
const phraseFile = (name: string): MasterKeySource => ({
  kind: 'passphrase-file',
  path: file(name),
  cost: COST,
});
const writeKey = (path: string, digit: string): Promise<void> =>
  writeFile(path, `${digit.repeat(64)}\n`, { mode: 0o600 });

async function open(options: Partial<OpenStoreOptions> = {}): Promise<Store> {
  const store = await openStore({ dataDir, masterKey: { kind: 'default-key-file' }, ...options });
  opened.push(store);
  return store;
}

/** A store that holds a record, open. */
async function openNew(options: Partial<OpenStoreOptions> = {}): Promise<Store> {
  const store = await open(options);
  await store.unitOfWork.run((unit) => unit.secrets.write('cluster', Buffer.from(SECRET)));
  return store;
}

async function reopen(store: Store, options: Partial<OpenStoreOptions> = {}): Promise<Store> {
  await store.close();
  return open(options);
}

async function expectWhole(store: Store): Promise<void> {
  expect((await store.committed.secrets.read('cluster'))?.toString()).toBe(SECRET);
  expect(await auditFindings(store)).toEqual([]);
}

describe('rekey with a key file', () => {
  it('replaces the file: the new one opens the store, the old one does not, and the log says who did it', async () => {
    const store = await openNew();
    const path = join(dataDir, 'store.key');
    const before = await readFile(path, 'latin1');
    expect(await store.keyring.rekey({ prepared: false }, BY)).toEqual({
      path,
      kind: 'key',
      role: 'current',
      isBeside: false,
    });
    await expectWhole(store);
    const after = await readFile(path, 'latin1');
    expect(after).toMatch(/^[0-9a-f]{64}\n$/);
    expect(after).not.toBe(before);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await readdir(dataDir)).filter((name) => name.includes('.key'))).toEqual(['store.key']);
    const [entry] = await store.auditLog.entries({ after: store.storeTime().sequence - 1, limit: 1 });
    expect(entry).toMatchObject({ ...BY, action: 'store.rekeyed', subject: 'store' });
    expect(entry?.details).not.toContain(after.trim());

    await expectWhole(await reopen(store));
    await opened.at(-1)?.close();
    await writeFile(path, before, { mode: 0o600 });
    await expect(open()).rejects.toMatchObject({ reason: 'STORE_KEY_WRONG' });
  });

  it('opens whenever it was cut off: before the transaction, and before the rename', async () => {
    const path = join(dataDir, 'store.key');
    const store = await openNew();
    const old = await readFile(path);
    await writeKey(`${path}.new`, '7');
    const early = await reopen(store);
    await expectWhole(early);
    expect(early.keyring.inForce).toMatchObject({ path, isBeside: false });
    // What the first attempt left is no reason to fail the second.
    await early.keyring.rekey({ prepared: false }, BY);
    const changed = await readFile(path);
    await early.close();

    // The transaction is done, the rename is not.
    await writeFile(`${path}.new`, changed, { mode: 0o600 });
    await writeFile(path, old);
    const late = await open();
    await expectWhole(late);
    expect(late.keyring.inForce).toMatchObject({ path, isBeside: false });
    expect(await readFile(path)).toEqual(changed);
    expect(await readdir(dataDir)).not.toContain('store.key.new');
  });

  it('keeps the file that opens the store when the transaction fails', async () => {
    const store = await openNew();
    const other = new BetterSqlite3(join(dataDir, 'palyra.db'));
    other.exec('BEGIN IMMEDIATE');
    await expect(store.keyring.rekey({ prepared: false }, BY)).rejects.toMatchObject({
      reason: 'STORE_BUSY',
    });
    other.close();
    expect(store.storeTime().sequence).toBe(1);
    const again = await reopen(store);
    await expectWhole(again);
    await again.keyring.rekey({ prepared: false }, BY);
    await expectWhole(await reopen(again));
  });

  it('does one change after the other, and each leaves a store that opens', async () => {
    const store = await openNew();
    const changes = [1, 2, 3].map(() => store.keyring.rekey({ prepared: false }, BY));
    await Promise.all(changes);
    expect(store.storeTime().sequence).toBe(4);
    await expectWhole(await reopen(store));
  });

  it.each(['link', 'nothing can be written beside it'])(
    'refuses a key file that it cannot replace (%s), and says how to go on',
    async (why) => {
      await mkdir(file('secrets'));
      await writeKey(file('secrets/real'), '5');
      await symlink(file('secrets/real'), file('secrets/link'));
      const masterKey = keyFile(why === 'link' ? 'secrets/link' : 'secrets/real');
      const store = await openNew({ masterKey });
      // A read-only mount, as far as a test without mounts can have one.
      if (why !== 'link') await mkdir(file('secrets/real.new.new'));
      await expect(store.keyring.rekey({ prepared: false }, BY)).rejects.toMatchObject({
        kind: 'wrong_state',
        reason: 'STORE_KEY_NOT_REPLACEABLE',
        message: expect.stringContaining('PALYRA_STORE_NEW_KEY_FILE'),
      });
      await rm(file('secrets/real.new.new'), { recursive: true, force: true });
      await expectWhole(await reopen(store, { masterKey }));
    },
  );
});

describe('rekey with a prepared key', () => {
  it('changes to the file that the settings name; start tries both until they name only the new one', async () => {
    await writeKey(file('old'), '5');
    await writeKey(file('new'), '6');
    const both = { masterKey: keyFile('old'), nextMasterKey: keyFile('new') };
    const store = await openNew(both);
    expect(store.keyring.inForce.role).toBe('current');
    expect(await store.keyring.rekey({ prepared: true }, BY)).toMatchObject({
      path: file('new'),
      role: 'next',
    });
    const again = await reopen(store, both);
    await expectWhole(again);
    expect(again.keyring.inForce).toMatchObject({ path: file('new'), role: 'next' });
    await again.close();
    await expect(open({ masterKey: keyFile('old') })).rejects.toMatchObject({
      reason: 'STORE_KEY_WRONG',
      message: expect.stringContaining(file('old')),
    });
    await expectWhole(await open({ masterKey: keyFile('new') }));
    expect(await readFile(file('old'), 'latin1')).toBe(`${'5'.repeat(64)}\n`);
  });

  it('changes from a key to a passphrase and back', async () => {
    await writeFile(file('phrase'), `${PHRASE}\n`, { mode: 0o600 });
    const store = await openNew({ nextMasterKey: phraseFile('phrase') });
    expect(await store.keyring.rekey({ prepared: true }, BY)).toMatchObject({ kind: 'passphrase' });
    const second = await reopen(store, { masterKey: phraseFile('phrase') });
    await expectWhole(second);
    await expect(reopen(second)).rejects.toMatchObject({ reason: 'STORE_KEY_WRONG_KIND' });
    await writeKey(file('key'), '8');
    const third = await open({ masterKey: phraseFile('phrase'), nextMasterKey: keyFile('key') });
    await third.keyring.rekey({ prepared: true }, BY);
    await expectWhole(await reopen(third, { masterKey: keyFile('key') }));
  });

  it('changes a passphrase to the one beside it, under a new salt', async () => {
    await writeFile(file('phrase'), PHRASE, { mode: 0o600 });
    const masterKey = phraseFile('phrase');
    const store = await openNew({ masterKey });
    const salt = (): unknown => {
      const database = new BetterSqlite3(join(dataDir, 'palyra.db'), { readonly: true });
      const row = database.prepare('SELECT "scrypt_salt" FROM "store"').get();
      database.close();
      return row;
    };
    const before = salt();
    await expect(store.keyring.rekey({ prepared: false }, BY)).rejects.toMatchObject({
      reason: 'STORE_KEY_FROM_PASSPHRASE',
      message: expect.stringContaining(`${file('phrase')}.new`),
    });
    await writeFile(file('phrase.new'), OTHER_PHRASE, { mode: 0o600 });
    await store.keyring.rekey({ prepared: true }, BY);
    expect(await readFile(file('phrase'), 'utf8')).toBe(OTHER_PHRASE);
    expect(salt()).not.toEqual(before);
    await expectWhole(await reopen(store, { masterKey }));
  });

  it.each([
    ['missing', undefined, 'STORE_NEW_KEY_MISSING'],
    ['of five words', 'only five words are here', 'STORE_PASSPHRASE_WEAK'],
    ['one word six times', 'horse horse horse horse horse horse', 'STORE_PASSPHRASE_WEAK'],
    ['six letters', 'abc d e f g h i', 'STORE_PASSPHRASE_WEAK'],
    ['the one in force', PHRASE, 'STORE_KEY_UNCHANGED'],
  ])('refuses a passphrase that is %s, and changes nothing', async (_what, text, reason) => {
    await writeFile(file('phrase'), PHRASE, { mode: 0o600 });
    const masterKey = phraseFile('phrase');
    const store = await openNew({ masterKey });
    if (text !== undefined) await writeFile(file('phrase.new'), text, { mode: 0o600 });
    await expect(store.keyring.rekey({ prepared: true }, BY)).rejects.toMatchObject({
      kind: 'wrong_state',
      reason,
    });
    expect(store.storeTime().sequence).toBe(1);
    await expectWhole(await reopen(store, { masterKey }));
  });

  it('refuses a new key that others can read, at start and when it is to be used', async () => {
    await writeKey(file('new'), '6');
    const options = { nextMasterKey: keyFile('new') };
    const store = await openNew(options);
    await chmod(file('new'), 0o640);
    const exposed = {
      reason: 'STORE_FILE_EXPOSED',
      message: expect.stringContaining(`chmod 600 ${file('new')}`),
    };
    await expect(store.keyring.rekey({ prepared: true }, BY)).rejects.toMatchObject(exposed);
    await expect(reopen(store, options)).rejects.toMatchObject(exposed);
    await chmod(file('new'), 0o600);
    await expectWhole(await open(options));
  });

  it('opens with the new key alone when the old file is gone before the settings were changed', async () => {
    await writeKey(file('old'), '5');
    await writeKey(file('new'), '6');
    const both = { masterKey: keyFile('old'), nextMasterKey: keyFile('new') };
    const store = await openNew(both);
    await store.keyring.rekey({ prepared: true }, BY);
    await rename(file('old'), file('away'));
    await expectWhole(await reopen(store, both));
  });

  it('makes no store with a passphrase that is too weak to protect it', async () => {
    await writeFile(file('phrase'), 'correct horse battery', { mode: 0o600 });
    await expect(open({ masterKey: phraseFile('phrase') })).rejects.toMatchObject({
      reason: 'STORE_PASSPHRASE_WEAK',
    });
    await writeFile(file('phrase'), PHRASE);
    expect((await open({ masterKey: phraseFile('phrase') })).created).toBe(true);
  });
});

jest.setTimeout(60_000);
