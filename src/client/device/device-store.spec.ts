import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeviceStore, DeviceStoreReader } from './device-store.js';

describe('device store', () => {
  let parent: string;
  let directory: string;
  const open: { close(): void }[] = [];

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'palyra-device-store-'));
    directory = join(parent, 'palyra', 'device');
  });

  afterEach(async () => {
    for (const store of open.splice(0)) store.close();
    await rm(parent, { recursive: true });
  });

  function kept<T extends { close(): void } | undefined>(store: T): T {
    if (store !== undefined) open.push(store);
    return store;
  }

  const create = async (at = directory): Promise<DeviceStore> =>
    kept(await DeviceStore.create(at, randomBytes));
  const reader = async (): Promise<DeviceStoreReader | undefined> =>
    kept(await DeviceStoreReader.open(directory, randomBytes));

  /** A store with one record, which nobody has open. */
  async function storeWith(record: string, at = directory): Promise<void> {
    const store = await DeviceStore.create(at, randomBytes);
    await store.write('identity', Buffer.from(record));
    store.close();
  }

  async function reasonOf(work: Promise<unknown>): Promise<unknown> {
    return work.then(
      () => 'succeeded',
      (error: unknown) => (error as { reason: string }).reason,
    );
  }

  const readIdentity = async (): Promise<Buffer | undefined> => (await reader())!.read('identity');

  it('is made by nothing but create', async () => {
    expect(await DeviceStore.open(directory, randomBytes)).toBeUndefined();
    expect(await reader()).toBeUndefined();
    expect(await readdir(parent)).toEqual([]);
  });

  it('gives back what was written, to later processes too', async () => {
    await storeWith('one');
    expect((await readIdentity())?.toString()).toBe('one');
    const store = kept(await DeviceStore.open(directory, randomBytes))!;
    await store.write('identity', Buffer.from('two'));
    expect((await readIdentity())?.toString()).toBe('two');
    await store.delete('identity');
    expect(await readIdentity()).toBeUndefined();
    await store.delete('identity');
  });

  it('is open for this user only, and keeps nothing in clear', async () => {
    await storeWith('a very secret thing');
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    const names = await readdir(directory);
    expect(names.sort()).toEqual(['identity.sealed', 'palyra.lock', 'store.json', 'store.key']);
    for (const name of names) {
      expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
      expect((await readFile(join(directory, name))).includes('secret')).toBe(false);
    }
  });

  it('lets one process change it, and others read', async () => {
    const first = await create();
    await first.write('identity', Buffer.from('one'));
    expect(await reasonOf(DeviceStore.open(directory, randomBytes))).toBe('DEVICE_STORE_IN_USE');
    expect(await reasonOf(create())).toBe('DEVICE_STORE_IN_USE');
    expect((await readIdentity())?.toString()).toBe('one');
  });

  it.each(['store.key', 'store.json', 'identity.sealed'])(
    'does not use a %s that others may read',
    async (name) => {
      await storeWith('one');
      await chmod(join(directory, name), 0o640);
      expect(await reasonOf(readIdentity())).toBe('STORE_FILE_EXPOSED');
    },
  );

  it('does not use a directory that others may enter', async () => {
    await storeWith('one');
    await chmod(directory, 0o755);
    expect(await reasonOf(DeviceStore.open(directory, randomBytes))).toBe('STORE_FILE_EXPOSED');
    expect(await reasonOf(create())).toBe('STORE_FILE_EXPOSED');
  });

  it('names a record that was altered', async () => {
    await storeWith('one');
    const path = join(directory, 'identity.sealed');
    const record = await readFile(path);
    record[record.length - 1]! ^= 1;
    await writeFile(path, record);
    const error = await readIdentity().catch((cause: unknown) => cause);
    expect(error).toMatchObject({ kind: 'corrupt', reason: 'RECORD_DOES_NOT_OPEN' });
    expect((error as Error).message).toContain('"identity"');
  });

  it.each([
    ['another record', 'identity.sealed', 'pending.sealed', 'RECORD_DOES_NOT_OPEN'],
    ['another store', 'identity.sealed', 'identity.sealed', 'RECORD_UNKNOWN_DATA_KEY'],
  ])('does not take a record for %s', async (what, from, to, reason) => {
    const other = join(parent, 'other');
    await storeWith('one');
    await storeWith('two', other);
    const source = what === 'another store' ? other : directory;
    await copyFile(join(source, from), join(directory, to));
    const name = to === 'pending.sealed' ? 'pending' : 'identity';
    expect(await reasonOf(reader().then(async (store) => store!.read(name)))).toBe(reason);
  });

  it('says so when its key is another store’s, or gone', async () => {
    const other = join(parent, 'other');
    await storeWith('one');
    await storeWith('two', other);
    await copyFile(join(other, 'store.key'), join(directory, 'store.key'));
    expect(await reasonOf(reader())).toBe('DEVICE_STORE_KEY_WRONG');
    await rm(join(directory, 'store.key'));
    expect(await reasonOf(reader())).toBe('STORE_KEY_MISSING');
    expect(await readdir(directory)).not.toContain('store.key');
  });

  it('is finished by the next process when the first was killed while it made it', async () => {
    await storeWith('one');
    await rm(join(directory, 'store.json'));
    expect(await reader()).toBeUndefined();
    const store = await create();
    await store.write('pending', Buffer.from('two'));
    expect((await (await reader())!.read('pending'))?.toString()).toBe('two');
  });

  it('removes what a killed writer left, and keeps the record as it was', async () => {
    await storeWith('one');
    await writeFile(join(directory, 'identity.sealed.new'), 'half', { mode: 0o600 });
    kept(await DeviceStore.open(directory, randomBytes));
    expect(await readdir(directory)).not.toContain('identity.sealed.new');
    expect((await readIdentity())?.toString()).toBe('one');
  });
});
