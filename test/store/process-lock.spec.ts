import { open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openStore } from '../../src/database/open-store.js';
import { networkFileSystem } from '../../src/database/process-lock.js';
import { StoreProcess } from './child-process.js';
import { TemporaryStore } from './temporary-store.js';

const inUse = { refused: 'STORE_IN_USE' };

describe('the process lock', () => {
  let temporary: TemporaryStore;
  let child: StoreProcess;

  beforeAll(async () => {
    temporary = await TemporaryStore.open();
    child = await StoreProcess.start();
  });

  afterAll(async () => {
    await child.kill();
    await temporary.remove();
  });

  it('keeps a second process out', async () => {
    expect(await child.ask({ op: 'open', dataDir: temporary.dataDir })).toEqual(inUse);
  });

  it('keeps out a second opening by this process, and still the other one afterwards', async () => {
    const again = openStore({ dataDir: temporary.dataDir, masterKey: { kind: 'default-key-file' } });
    await expect(again).rejects.toMatchObject({
      kind: 'unavailable',
      reason: 'STORE_IN_USE',
      message: expect.stringContaining(temporary.dataDir),
    });
    expect(await child.ask({ op: 'open', dataDir: temporary.dataDir })).toEqual(inUse);
  });

  it('holds after the store was closed and opened again', async () => {
    await temporary.reopen();
    await temporary.store.unitOfWork.run((unit) => unit.secrets.write('cluster', Buffer.from('x')));
    expect(await child.ask({ op: 'open', dataDir: temporary.dataDir })).toEqual(inUse);
  });

  it('keeps out a process started after this one has opened, closed and reopened every file beside the lock', async () => {
    // Closing any descriptor of a file frees all POSIX locks that the process has on it: so nothing opens the lock's own.
    for (const name of ['palyra.db', 'palyra.db-wal', 'palyra.db-shm', 'store.key']) {
      for (let times = 0; times < 2; times += 1)
        await (await open(join(temporary.dataDir, name), 'r')).close();
    }
    await temporary.store.keyring.rekey(
      { prepared: false },
      { actor: 'system', source: 'local', reason: '' },
    );
    const copy = join(temporary.dataDir, 'copy.tmp');
    await writeFile(copy, '', { mode: 0o600 });
    await temporary.store.copyTo(copy);
    const late = await StoreProcess.start();
    try {
      expect(await late.ask({ op: 'open', dataDir: temporary.dataDir })).toEqual(inUse);
    } finally {
      await late.kill();
    }
  });

  it('passes to the other process, and comes back when that one is killed', async () => {
    await temporary.store.close();
    const storeId = temporary.store.storeId.toString('hex');
    expect(await child.ask({ op: 'open', dataDir: temporary.dataDir })).toEqual({ storeId });
    await expect(temporary.reopen()).rejects.toMatchObject({ reason: 'STORE_IN_USE' });
    await child.kill();
    await temporary.reopen();
    expect((await temporary.store.committed.secrets.read('cluster'))?.toString()).toBe('x');
  });

  it('is needed even when somebody has removed everything else', async () => {
    await rm(`${temporary.dataDir}/palyra.db-shm`, { force: true });
    const again = openStore({ dataDir: temporary.dataDir, masterKey: { kind: 'default-key-file' } });
    await expect(again).rejects.toMatchObject({ reason: 'STORE_IN_USE' });
  });
});

describe('network file systems', () => {
  it('are told by the type that Linux gives, also as a negative number', () => {
    expect(networkFileSystem(0x6969)).toBe('NFS');
    expect(networkFileSystem(0xff534d42 | 0)).toBe('CIFS');
    expect(networkFileSystem(0xef53)).toBeUndefined();
  });
});
