/** From the row of table `store` and the master key to the keys that open records. */
import type { Database } from 'better-sqlite3';
import { DomainError } from '../errors/domain-error.js';
import type { RandomBytes } from '../random/random-bytes.js';
import type { ReadKey } from '../secret-store/given-keys.js';
import type { MasterKeyMaterial } from '../secret-store/master-key.js';
import { masterKeyOf, newScryptParameters } from '../secret-store/master-key.js';
import type { ScryptParameters } from '../secret-store/passphrase.js';
import type { DataKey } from '../secret-store/sealed-record.js';
import {
  DATA_KEY_ID_BYTES,
  KEY_BYTES,
  SALT_BYTES,
  STORE_ID_BYTES,
  unwrapDataKey,
  WRAPPED_KEY_BYTES,
  wrapDataKey,
} from '../secret-store/sealed-record.js';
import type { StoreFields } from './store.entity.js';

export const CHECK_RECORD_NAME = 'check';

/** What opens a store. */
export interface StoreKeys {
  readonly storeId: Buffer;
  readonly dataKeys: readonly DataKey[];
  /** 32 bytes; whoever asked for it overwrites it. */
  readonly masterKey: Buffer;
}

/** Makes the row of a new store, with one data key. `epoch` is in Unix milliseconds. */
export async function newStoreRow(
  { source, material }: ReadKey,
  epoch: number,
  random: RandomBytes,
): Promise<StoreFields> {
  const scrypt = newScryptParameters(source, material, random);
  const storeId = random(STORE_ID_BYTES);
  const dataKey = { id: random(DATA_KEY_ID_BYTES), key: random(KEY_BYTES) };
  const masterKey = await masterKeyOf(material, scrypt);
  const wrappedKeys = wrapDataKey(masterKey, storeId, dataKey, random(SALT_BYTES));
  masterKey.fill(0);
  dataKey.key.fill(0);
  return {
    id: 1,
    storeId,
    wrappedKeys,
    ...scryptColumns(scrypt),
    epoch,
  };
}

/** The columns that say how the master key is derived. */
export function scryptColumns(
  scrypt: ScryptParameters | null,
): Pick<StoreFields, 'scryptSalt' | 'scryptN' | 'scryptR' | 'scryptP'> {
  return {
    scryptSalt: scrypt?.salt ?? null,
    scryptN: scrypt?.n ?? null,
    scryptR: scrypt?.r ?? null,
    scryptP: scrypt?.p ?? null,
  };
}

/**
 * Unwraps the data keys. Throws `STORE_KEY_WRONG` if the master key is another, `STORE_KEY_WRONG_KIND` if a passphrase
 * is needed or none, `STORE_DAMAGED` or `STORE_SCRYPT_COST` if the row cannot be right.
 */
export async function openStoreKeys(row: StoreFields, material: MasterKeyMaterial): Promise<StoreKeys> {
  const wrapped = splitWrappedKeys(row);
  const masterKey = await masterKeyOf(material, scryptParametersOf(row));
  try {
    return {
      storeId: row.storeId,
      dataKeys: wrapped.map((key) => unwrapDataKey(masterKey, row.storeId, key)),
      masterKey,
    };
  } catch (cause) {
    masterKey.fill(0);
    throw new DomainError(
      'wrong_state',
      'STORE_KEY_WRONG',
      'The given key or passphrase does not open this store: give the one it was made with.',
      { cause },
    );
  }
}

/**
 * Reads the row without TypeORM, before any migration: its columns are the same in every version. `undefined` if there is
 * no store yet. Throws `STORE_DAMAGED` if the row is gone from a store that was in use.
 */
export function readStoreRow(connection: Database): StoreFields | undefined {
  if (!hasTable(connection, 'store')) return undefined;
  const row = connection
    .prepare<[], StoreFields>(
      `SELECT "id", "store_id" AS "storeId", "wrapped_keys" AS "wrappedKeys", "scrypt_salt" AS "scryptSalt",
         "scrypt_n" AS "scryptN", "scrypt_r" AS "scryptR", "scrypt_p" AS "scryptP", "epoch"
       FROM "store" WHERE "id" = 1`,
    )
    .get();
  if (row === undefined && hasRows(connection)) throw storeDamaged('its row in table store is missing');
  if (row !== undefined && !Number.isSafeInteger(row.epoch)) throw storeDamaged('its epoch is no number');
  return row;
}

/** The sealed record that tells a right key from a wrong one, read like {@link readStoreRow}. */
export function readCheckRecord(connection: Database): Buffer {
  const row = connection
    .prepare<[string], { record: Buffer }>('SELECT "record" FROM "secret" WHERE "name" = ?')
    .get(CHECK_RECORD_NAME);
  if (row === undefined) throw storeDamaged(`its record "${CHECK_RECORD_NAME}" is missing`);
  return row.record;
}

function hasTable(connection: Database, name: string): boolean {
  const found = connection
    .prepare(`SELECT 1 FROM sqlite_master WHERE "type" = 'table' AND "name" = ?`)
    .get(name);
  return found !== undefined;
}

function hasRows(connection: Database): boolean {
  const found = connection
    .prepare('SELECT 1 FROM "secret" UNION ALL SELECT 1 FROM "audit_entry" LIMIT 1')
    .get();
  return found !== undefined;
}

function scryptParametersOf(row: StoreFields): ScryptParameters | null {
  const { scryptSalt: salt, scryptN: n, scryptR: r, scryptP: p } = row;
  if (salt === null && n === null && r === null && p === null) return null;
  if (salt === null || n === null || r === null || p === null)
    throw storeDamaged('its scrypt parameters are incomplete');
  return { salt, n, r, p };
}

/** The wrapped data keys of the row, in their order; the last one seals. Throws `STORE_DAMAGED`. */
export function splitWrappedKeys(row: StoreFields): Buffer[] {
  const { storeId, wrappedKeys } = row;
  // In a damaged row a column may hold a text.
  if (![storeId, wrappedKeys].every(isBytes)) throw storeDamaged('its id or its wrapped keys are no bytes');
  const count = wrappedKeys.length / WRAPPED_KEY_BYTES;
  if (storeId.length !== STORE_ID_BYTES || count < 1 || !Number.isInteger(count)) {
    throw storeDamaged('its id or its wrapped keys do not have the right length');
  }
  return Array.from({ length: count }, (_none, index) =>
    wrappedKeys.subarray(index * WRAPPED_KEY_BYTES, (index + 1) * WRAPPED_KEY_BYTES),
  );
}

/** Whether a column holds bytes, as its type says; SQLite keeps in it whatever somebody wrote. */
export const isBytes = (value: unknown): boolean => value instanceof Uint8Array;

/** The error for what cannot have come about without damage; `what` completes the sentence. */
export function storeDamaged(what: string): DomainError {
  return new DomainError(
    'corrupt',
    'STORE_DAMAGED',
    `The store is damaged, ${what}: restore it from a backup.`,
  );
}
