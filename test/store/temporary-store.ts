import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OpenStoreOptions, Store } from '../../src/database/open-store.js';
import { openStore } from '../../src/database/open-store.js';

/** A data directory of its own with a real store in it, for tests. */
export class TemporaryStore {
  private constructor(
    readonly dataDir: string,
    private readonly options: Partial<OpenStoreOptions>,
    /** The store that is open now; {@link reopen} replaces it. */
    public store: Store,
  ) {}

  static async open(options: Partial<OpenStoreOptions> = {}): Promise<TemporaryStore> {
    const dataDir = options.dataDir ?? (await temporaryDirectory());
    const store = await openStore({ dataDir, masterKey: { kind: 'default-key-file' }, ...options });
    return new TemporaryStore(dataDir, options, store);
  }

  /** Closes the store and opens it again, as a restart of the process does. */
  async reopen(options: Partial<OpenStoreOptions> = {}): Promise<Store> {
    await this.store.close();
    const { dataDir } = this;
    this.store = await openStore({
      dataDir,
      masterKey: { kind: 'default-key-file' },
      ...this.options,
      ...options,
    });
    return this.store;
  }

  /** Closes the store and removes its directory. */
  async remove(): Promise<void> {
    await this.store.close();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

/** An empty private directory. */
export function temporaryDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'palyra-store-'));
}

/** The same in main memory, where the system has a place for it: for thousands of commits that need not survive. */
export async function memoryDirectory(): Promise<string> {
  const shared = '/dev/shm';
  const isThere = await access(shared, constants.W_OK).then(
    () => true,
    () => false,
  );
  return isThere ? mkdtemp(join(shared, 'palyra-store-')) : temporaryDirectory();
}
