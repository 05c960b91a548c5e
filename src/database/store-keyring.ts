/** The keys of an open store: which file opens it, and how its master key and data keys are changed while it serves. */
import { timingSafeEqual } from 'node:crypto';
import { DomainError } from '../errors/domain-error.js';
import type { RandomBytes } from '../random/random-bytes.js';
import { TEMPORARY_SUFFIX } from '../secret-store/atomic-file.js';
import type { GivenKey, MasterKeySources, ReadKey } from '../secret-store/given-keys.js';
import { firstThatOpens, forgetKeys, readGivenKeys } from '../secret-store/given-keys.js';
import {
  notReplaceable,
  putInPlace,
  requireReplaceable,
  writeFileBeside,
} from '../secret-store/key-file-change.js';
import {
  keyFileContent,
  masterKeyOf,
  masterKeyPath,
  newMasterKey,
  newScryptParameters,
  readMasterKeyFile,
} from '../secret-store/master-key.js';
import type { RecordSealer } from '../secret-store/record-sealer.js';
import { openStoreKeys, scryptColumns, storeDamaged } from './store-keys.js';
import type { StoreKeys } from './store-keys.js';
import type { StoreFields } from './store.entity.js';
import { StoreRow } from './store.entity.js';
import type { CommittedReader, Unit, UnitOfWork } from './unit-of-work.js';

/** Who changes a key, for the audit log. */
export interface KeyChangeBy {
  readonly actor: string;
  readonly source: string;
  readonly reason: string;
}

/** The file that opens the store now. */
export interface KeyInForce {
  readonly path: string;
  readonly kind: 'key' | 'passphrase';
  /** `next`: it is the one of the PALYRA_STORE_NEW_… settings, which is to become the one of the others. */
  readonly role: GivenKey['role'];
  /** It could not be put in its place and still stands beside it, as `<file>.new`; start tries it there. */
  readonly isBeside: boolean;
}

export interface StoreKeyringParts {
  readonly sources: MasterKeySources;
  readonly sealer: RecordSealer;
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
  readonly random: RandomBytes;
  /** The file that opened the store. */
  readonly openedWith: KeyInForce;
}

/** The store's row with the key that opens it. The master key is overwritten when the work on it is over. */
export interface OpenedRow {
  readonly row: StoreFields;
  readonly key: ReadKey;
  readonly keys: StoreKeys;
}

export class StoreKeyring {
  readonly sealer: RecordSealer;
  #inForce: KeyInForce;
  #last: Promise<unknown> = Promise.resolve();

  constructor(private readonly parts: StoreKeyringParts) {
    this.sealer = parts.sealer;
    this.#inForce = parts.openedWith;
  }

  get inForce(): KeyInForce {
    return this.#inForce;
  }

  /**
   * Wraps the data keys under a new master key: one that it makes and puts in the place of the key file, or (`prepared`)
   * the one of the PALYRA_STORE_NEW_… settings, or of `<file>.new` beside the file in force. In this order, so that the
   * files that are there open the store whenever it is cut off: new file, one transaction, rename.
   *
   * Throws `STORE_KEY_NOT_REPLACEABLE`, `STORE_KEY_FROM_PASSPHRASE`, `STORE_NEW_KEY_MISSING`, `STORE_KEY_UNCHANGED`,
   * `STORE_PASSPHRASE_WEAK`, or what reading a key throws.
   */
  async rekey(options: { readonly prepared: boolean }, by: KeyChangeBy): Promise<KeyInForce> {
    return this.withOpenedRow(async (opened) => {
      const target = options.prepared ? await this.#preparedKey(opened.key) : await this.#newKey(opened.key);
      try {
        await this.#rewrap(opened, target, by);
      } finally {
        forgetKeys([target]);
      }
      return (this.#inForce = await settle(target));
    });
  }

  /**
   * Runs `work` with the row and the keys that open it, read anew from the files; one after another. What a change that
   * was cut off, or whose commit gave no clear answer, has left behind is brought in order first.
   */
  async withOpenedRow<T>(work: (opened: OpenedRow) => Promise<T>): Promise<T> {
    const result = this.#last.then(async () => {
      const given = await readGivenKeys(this.parts.sources);
      try {
        return await this.#open(given, work);
      } finally {
        forgetKeys(given);
      }
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #open<T>(given: readonly ReadKey[], work: (opened: OpenedRow) => Promise<T>): Promise<T> {
    const row = await readRow(this.parts.committed);
    const { key, opened: keys } = await firstThatOpens(given, ({ material }) => openStoreKeys(row, material));
    try {
      this.sealer.useKeys(keys.dataKeys);
      this.#inForce = await settle(key);
      return await work({
        row,
        keys,
        key: { ...key, path: this.#inForce.path, isBeside: this.#inForce.isBeside },
      });
    } finally {
      keys.masterKey.fill(0);
    }
  }

  /** A key of our own, written beside the file that it will replace, and read back from there. */
  async #newKey(inForce: ReadKey): Promise<ReadKey> {
    const { source, path } = inForce;
    if (source.kind === 'passphrase-file') throw fromPassphrase(path);
    await this.#requirePlace(inForce);
    const key = newMasterKey(this.parts.random);
    const content = keyFileContent(key);
    await writeFileBeside(path, content);
    key.fill(0);
    content.fill(0);
    return this.#keyBeside(inForce);
  }

  async #preparedKey(inForce: ReadKey): Promise<ReadKey> {
    const { next, dataDir } = this.parts.sources;
    const isNext = next !== undefined && inForce.role === 'current';
    if (!isNext) await this.#requirePlace(inForce);
    const target = isNext
      ? await readNewKey({ source: next, role: 'next', path: masterKeyPath(next, dataDir), isBeside: false })
      : await this.#keyBeside(inForce);
    if (isSameKey(target, inForce)) throw unchanged(target.path);
    return target;
  }

  /** Start tries one file beside each that it is given, and no further. */
  async #requirePlace({ path, isBeside }: ReadKey): Promise<void> {
    if (isBeside) throw notReplaceable(path, 'it could not be put into its place');
    await requireReplaceable(path, this.parts.sources.dataDir);
  }

  async #keyBeside({ source, role, path }: ReadKey): Promise<ReadKey> {
    return readNewKey({ source, role, path: path + TEMPORARY_SUFFIX, isBeside: true });
  }

  async #rewrap({ row }: OpenedRow, { source, material, path }: ReadKey, by: KeyChangeBy): Promise<void> {
    const scrypt = newScryptParameters(source, material, this.parts.random);
    const masterKey = await masterKeyOf(material, scrypt);
    const wrappedKeys = this.sealer.wrapKeys(masterKey);
    masterKey.fill(0);
    await this.parts.unitOfWork.run(async (unit) => {
      await requireUnchanged(unit, row);
      await unit.tables.update(StoreRow, { id: row.id }, { wrappedKeys, ...scryptColumns(scrypt) });
      const details = { kind: material.kind, file: path };
      unit.audit.append({ ...by, action: 'store.rekeyed', subject: 'store', details });
    });
  }
}

/** Puts a key that opens the store, and still stands beside its place, into it. */
export async function settle({ path, role, isBeside, material }: ReadKey): Promise<KeyInForce> {
  const kind = material.kind;
  if (!isBeside) return { path, role, kind, isBeside };
  const place = path.slice(0, -TEMPORARY_SUFFIX.length);
  if (await putInPlace(place)) return { path: place, role, kind, isBeside: false };
  return { path, role, kind, isBeside };
}

/** Throws `conflict` if the row is not what the change was worked out for: another program has written to the store. */
export async function requireUnchanged(unit: Unit, row: StoreFields): Promise<void> {
  const now = await readRow(unit);
  if (now.wrappedKeys.equals(row.wrappedKeys) && now.storeId.equals(row.storeId)) return;
  throw new DomainError(
    'conflict',
    'STORE_KEYS_CHANGED',
    'The keys of the store were changed meanwhile and nothing was done: try again.',
  );
}

async function readRow({ tables }: Pick<CommittedReader, 'tables'>): Promise<StoreFields> {
  const row = await tables.findOneBy(StoreRow, { id: 1 });
  if (row === null) throw storeDamaged('its row in table store is missing');
  return row;
}

async function readNewKey(key: GivenKey): Promise<ReadKey> {
  const material = await readMasterKeyFile(key.source, key.path);
  if (material !== undefined) return { ...key, material };
  throw new DomainError(
    'wrong_state',
    'STORE_NEW_KEY_MISSING',
    `The new key is not there: write it into ${key.path} on the host of the service, with mode 600.`,
  );
}

function isSameKey(one: ReadKey, other: ReadKey): boolean {
  const [a, b] = [one.material, other.material];
  return a.kind === b.kind && a.secret.length === b.secret.length && timingSafeEqual(a.secret, b.secret);
}

function unchanged(path: string): DomainError {
  return new DomainError(
    'wrong_state',
    'STORE_KEY_UNCHANGED',
    `${path} holds the key that opens the store now: put a new one there.`,
  );
}

function fromPassphrase(path: string): DomainError {
  return new DomainError(
    'wrong_state',
    'STORE_KEY_FROM_PASSPHRASE',
    `This store opens with a passphrase, which the service does not make up: write the new one, at least six words, into ` +
      `${path}${TEMPORARY_SUFFIX} on its host, with mode 600, and run \`palyra store rekey --prepared\`.`,
  );
}
