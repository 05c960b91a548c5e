import type { RandomBytes } from '../random/random-bytes.js';
import { openRecord, SALT_BYTES, sealRecord } from './sealed-record.js';
import type { DataKey } from './sealed-record.js';

/** Seals and opens the records of one open store: its id and data keys, and where fresh salts come from. */
export class RecordSealer {
  readonly #keysById = new Map<string, DataKey>();
  readonly #current: DataKey;

  /** `dataKeys` are all keys that records may be sealed under; the last one seals new records. */
  constructor(
    private readonly storeId: Buffer,
    dataKeys: readonly DataKey[],
    private readonly random: RandomBytes,
  ) {
    const current = dataKeys.at(-1);
    if (current === undefined) throw new RangeError('a store has at least one data key');
    this.#current = current;
    for (const dataKey of dataKeys) this.#keysById.set(dataKey.id.toString('hex'), dataKey);
  }

  seal(name: string, plaintext: Uint8Array): Buffer {
    if (this.#keysById.size === 0) throw new Error('the store is closed');
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

  /** Overwrites the data keys; nothing opens afterwards. */
  destroy(): void {
    for (const dataKey of this.#keysById.values()) dataKey.key.fill(0);
    this.#keysById.clear();
  }
}
