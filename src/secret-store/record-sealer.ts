import type { RandomBytes } from '../random/random-bytes.js';
import { dataKeyIdOf, openRecord, SALT_BYTES, sealRecord, wrapDataKey } from './sealed-record.js';
import type { DataKey } from './sealed-record.js';

/** Seals and opens the records of one open store: its id and data keys, and where fresh salts come from. */
export class RecordSealer {
  #keysById: ReadonlyMap<string, DataKey>;
  #current: DataKey;
  #destroyed = false;

  /** `dataKeys` are all keys that records may be sealed under; the last one seals new records. */
  constructor(
    readonly storeId: Buffer,
    dataKeys: readonly DataKey[],
    private readonly random: RandomBytes,
  ) {
    this.#current = lastOf(dataKeys);
    this.#keysById = byId(dataKeys);
  }

  /** Of all data keys, in their order; the last one seals. */
  get dataKeyIds(): Buffer[] {
    return [...this.#keysById.values()].map(({ id }) => id);
  }

  /** Whether the key that seals new records is the one that this record names. */
  isCurrent(record: Uint8Array): boolean {
    return dataKeyIdOf(record)?.equals(this.#current.id) === true;
  }

  seal(name: string, plaintext: Uint8Array): Buffer {
    if (this.#destroyed) throw new Error('the store is closed');
    return sealRecord(this.#current, { storeId: this.storeId, name }, plaintext, this.random(SALT_BYTES));
  }

  /** Throws a `DomainError` of kind `corrupt` that names the record. */
  open(name: string, record: Uint8Array): Buffer {
    return openRecord(
      (id) => this.#keysById.get(id.toString('hex')),
      { storeId: this.storeId, name },
      record,
    );
  }

  /** One with copies of the keys as they are now, which opens what they open when this one goes on with others. */
  fork(): RecordSealer {
    const copies = [...this.#keysById.values()].map(({ id, key }) => ({ id, key: Buffer.from(key) }));
    return new RecordSealer(this.storeId, copies, this.random);
  }

  /** All data keys, wrapped under a master key (32 bytes), one behind the other as table `store` keeps them. */
  wrapKeys(masterKey: Uint8Array): Buffer {
    const wrap = (dataKey: DataKey): Buffer =>
      wrapDataKey(masterKey, this.storeId, dataKey, this.random(SALT_BYTES));
    return Buffer.concat([...this.#keysById.values()].map(wrap));
  }

  /** Goes on with these keys, as the store now has them, and overwrites those that it has no more. */
  useKeys(dataKeys: readonly DataKey[]): void {
    if (this.#destroyed) throw new Error('the store is closed');
    const before = this.#keysById;
    this.#current = lastOf(dataKeys);
    this.#keysById = byId(dataKeys);
    for (const [id, { key }] of before) if (this.#keysById.get(id)?.key !== key) key.fill(0);
  }

  /** Overwrites the data keys; nothing opens afterwards. */
  destroy(): void {
    this.#destroyed = true;
    for (const dataKey of this.#keysById.values()) dataKey.key.fill(0);
    this.#keysById = new Map();
  }
}

function lastOf(dataKeys: readonly DataKey[]): DataKey {
  const last = dataKeys.at(-1);
  if (last === undefined) throw new RangeError('a store has at least one data key');
  return last;
}

const byId = (dataKeys: readonly DataKey[]): ReadonlyMap<string, DataKey> =>
  new Map(dataKeys.map((dataKey) => [dataKey.id.toString('hex'), dataKey]));
