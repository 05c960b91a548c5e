import { access } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { LOCK_FILE, ProcessLock } from '../../database/process-lock.js';
import { DomainError } from '../../errors/domain-error.js';
import type { RandomBytes } from '../../random/random-bytes.js';
import { decodeJsonRecord, encodeJsonRecord } from '../../secret-store/json-record.js';
import { DEFAULT_KEY_FILE, readMasterKey } from '../../secret-store/master-key.js';
import {
  createPrivateFile,
  readPrivateFile,
  requirePrivateDirectory,
} from '../../secret-store/private-file.js';
import { RecordSealer } from '../../secret-store/record-sealer.js';
import {
  DATA_KEY_ID_BYTES,
  KEY_BYTES,
  SALT_BYTES,
  STORE_ID_BYTES,
  unwrapDataKey,
  wrapDataKey,
} from '../../secret-store/sealed-record.js';
import { removeFile, replaceFile, syncDirectory, TEMPORARY_SUFFIX } from '../../secret-store/atomic-file.js';
import { requireUsableDirectory } from './device-directory.js';

/** Records of a device store; each is one file, `<name>.sealed`. */
export const DEVICE_RECORDS = ['pending', 'identity', 'certificate', 'renewal'] as const;
export type DeviceRecordName = (typeof DEVICE_RECORDS)[number];

/** Names the store and holds its wrapped data key; public. Written last, so a store without it was never finished. */
const HEADER_FILE = 'store.json';
const MAX_HEADER_BYTES = 4096;
/** Keys and a chain of certificates. */
const MAX_RECORD_BYTES = 256 * 1024;

const headerSchema = z.strictObject({
  v: z.literal(1),
  store_id: z.string().regex(/^[0-9a-f]{32}$/),
  data_key: z.string().regex(/^[0-9a-f]+$/),
});

/**
 * What a device keeps: a directory (0700) with a key file and one file for each sealed record, in the format of the
 * server's store (docs/protocol.md, "Sealed records"). Readers need no lock, since every change replaces a whole file.
 */
export class DeviceStoreReader {
  protected constructor(
    protected readonly directory: string,
    protected readonly sealer: RecordSealer,
  ) {}

  /**
   * `undefined` when there is no store. Throws a `DomainError` when others can get at its files, or the key does not fit.
   */
  static async open(directory: string, random: RandomBytes): Promise<DeviceStoreReader | undefined> {
    const sealer = await openSealer(directory, random);
    return sealer === undefined ? undefined : new DeviceStoreReader(directory, sealer);
  }

  /** `undefined` when there is none. Throws `corrupt` for one that was altered or belongs to another store. */
  async read(name: DeviceRecordName): Promise<Buffer | undefined> {
    const options = { followLinks: false, maxBytes: MAX_RECORD_BYTES };
    const sealed = await readPrivateFile(recordPath(this.directory, name), options);
    return sealed === undefined ? undefined : this.sealer.open(name, sealed);
  }

  close(): void {
    this.sealer.destroy();
  }
}

/** The store for the one process that may change it. */
export class DeviceStore extends DeviceStoreReader {
  private constructor(
    directory: string,
    sealer: RecordSealer,
    private readonly lock: ProcessLock,
  ) {
    super(directory, sealer);
  }

  /** As the reader's, and takes the lock. Throws `DEVICE_STORE_IN_USE` when another process has it. */
  static override async open(directory: string, random: RandomBytes): Promise<DeviceStore | undefined> {
    if (!(await exists(join(directory, HEADER_FILE)))) return undefined;
    await requirePrivateDirectory(directory);
    return DeviceStore.#locked(directory, async () => openSealer(directory, random));
  }

  /** Whether the store can be opened or made, without making anything. Throws what `requireUsableDirectory` throws. */
  static async requirePlace(directory: string): Promise<void> {
    await requireUsableDirectory(directory, [LOCK_FILE, DEFAULT_KEY_FILE, HEADER_FILE]);
  }

  /** Opens the store, or makes it: directory, lock, key file, header, in this order. */
  static async create(directory: string, random: RandomBytes): Promise<DeviceStore> {
    await requirePrivateDirectory(directory);
    await syncDirectory(dirname(directory));
    const store = await DeviceStore.#locked(directory, async () => {
      return (await openSealer(directory, random)) ?? (await makeSealer(directory, random));
    });
    if (store === undefined) throw new Error('a store that was just made did not open');
    return store;
  }

  static async #locked(
    directory: string,
    open: () => Promise<RecordSealer | undefined>,
  ): Promise<DeviceStore | undefined> {
    const lock = await takeLock(directory);
    try {
      const sealer = await open();
      if (sealer !== undefined) {
        await removeLeftovers(directory);
        return new DeviceStore(directory, sealer, lock);
      }
    } catch (error) {
      lock.release();
      throw error;
    }
    lock.release();
    return undefined;
  }

  /** Creates or replaces; durable when it returns. */
  async write(name: DeviceRecordName, value: Uint8Array): Promise<void> {
    await replaceFile(recordPath(this.directory, name), this.sealer.seal(name, value));
  }

  /** Durable when it returns. */
  async delete(name: DeviceRecordName): Promise<void> {
    await removeFile(recordPath(this.directory, name));
  }

  override close(): void {
    super.close();
    this.lock.release();
  }
}

async function openSealer(directory: string, random: RandomBytes): Promise<RecordSealer | undefined> {
  const path = join(directory, HEADER_FILE);
  const bytes = await readPrivateFile(path, { followLinks: false, maxBytes: MAX_HEADER_BYTES });
  if (bytes === undefined) return undefined;
  const header = decodeJsonRecord(path, headerSchema, bytes);
  const storeId = Buffer.from(header.store_id, 'hex');
  const masterKey = await readDeviceKey(directory, random, false);
  try {
    return new RecordSealer(
      storeId,
      [unwrapDataKey(masterKey, storeId, Buffer.from(header.data_key, 'hex'))],
      random,
    );
  } catch (cause) {
    throw new DomainError(
      'wrong_state',
      'DEVICE_STORE_KEY_WRONG',
      `store.key and store.json in ${directory} do not belong together: put back those that were made with it`,
      { cause },
    );
  } finally {
    masterKey.fill(0);
  }
}

async function makeSealer(directory: string, random: RandomBytes): Promise<RecordSealer> {
  const masterKey = await readDeviceKey(directory, random, true);
  const storeId = random(STORE_ID_BYTES);
  const dataKey = { id: random(DATA_KEY_ID_BYTES), key: random(KEY_BYTES) };
  const wrapped = wrapDataKey(masterKey, storeId, dataKey, random(SALT_BYTES));
  masterKey.fill(0);
  const header = encodeJsonRecord({ store_id: storeId.toString('hex'), data_key: wrapped.toString('hex') });
  await createPrivateFile(join(directory, HEADER_FILE), header);
  return new RecordSealer(storeId, [dataKey], random);
}

async function readDeviceKey(directory: string, random: RandomBytes, mayCreate: boolean): Promise<Buffer> {
  const options = { dataDir: directory, mayCreate, random };
  return (await readMasterKey({ kind: 'default-key-file' }, options)).secret;
}

async function takeLock(directory: string): Promise<ProcessLock> {
  try {
    return await ProcessLock.take(directory);
  } catch (error) {
    if (!(error instanceof DomainError) || error.reason !== 'STORE_IN_USE') throw error;
    throw new DomainError(
      'wrong_state',
      'DEVICE_STORE_IN_USE',
      `another palyra process uses the device store in ${directory}: wait for it, stop it, or name another with --device-dir`,
      { cause: error },
    );
  }
}

/** What a process that was killed in the middle of a change left behind: sealed, and of no use. */
async function removeLeftovers(directory: string): Promise<void> {
  for (const name of DEVICE_RECORDS) await removeFile(recordPath(directory, name) + TEMPORARY_SUFFIX);
}

function recordPath(directory: string, name: DeviceRecordName): string {
  return join(directory, `${name}.sealed`);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
