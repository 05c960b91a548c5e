/**
 * Sealed records and wrapped data keys, format 1 (docs/protocol.md, "Sealed records"). Pure: keys, salts and bytes in,
 * bytes out.
 *
 * Each record is encrypted under a key of its own, derived from a data key and a fresh 256-bit salt, so the nonce may be
 * zero: a key is never used twice. Store id, data-key id, name and format are authenticated with it, so a record that was
 * altered, cut, moved to another name or taken from another store does not open.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { enc } from '../encoding/canonical.js';
import { DomainError } from '../errors/domain-error.js';

export const STORE_ID_BYTES = 16;
export const DATA_KEY_ID_BYTES = 16;
export const KEY_BYTES = 32;
export const SALT_BYTES = 32;

const FORMAT = 1;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + DATA_KEY_ID_BYTES + SALT_BYTES;
const SHORTEST_RECORD_BYTES = HEADER_BYTES + TAG_BYTES;

/** Length of every wrapped data key: header, the 32 bytes of the key, tag. */
export const WRAPPED_KEY_BYTES = HEADER_BYTES + KEY_BYTES + TAG_BYTES;

const RECORD_KEY_INFO = 'palyra-record-v1';
const WRAPPING_KEY_INFO = 'palyra-data-key-v1';
const WRAPPED_KEY_NAME = 'data-key';

/** A key that seals records. `id` and the store's id are 16 bytes, `key` 32. */
export interface DataKey {
  readonly id: Buffer;
  readonly key: Buffer;
}

/** Where a sealed thing belongs: the same store and name must be given to open it. */
export interface Place {
  readonly storeId: Uint8Array;
  readonly name: string;
}

/** Seals `plaintext` for `place` under `dataKey`; `salt` is 32 fresh random bytes. */
export function sealRecord(dataKey: DataKey, place: Place, plaintext: Uint8Array, salt: Uint8Array): Buffer {
  return seal(dataKey.key, RECORD_KEY_INFO, dataKey.id, place, plaintext, salt);
}

/**
 * The plaintext of a sealed record. `dataKeyById` finds the data key that the record names.
 *
 * Throws a `DomainError` of kind `corrupt` that names the record: `RECORD_TOO_SHORT`, `RECORD_UNKNOWN_FORMAT`,
 * `RECORD_UNKNOWN_DATA_KEY` or `RECORD_DOES_NOT_OPEN`.
 */
export function openRecord(
  dataKeyById: (id: Buffer) => DataKey | undefined,
  place: Place,
  record: Uint8Array,
): Buffer {
  const parts = split(record, place.name);
  const dataKey = dataKeyById(parts.keyId);
  if (dataKey === undefined) {
    throw damaged('RECORD_UNKNOWN_DATA_KEY', place.name, 'names a data key that this store does not have');
  }
  return open(dataKey.key, RECORD_KEY_INFO, place, parts);
}

/** How every record begins that names this data key: format and id, 17 bytes. */
export function sealedHeader(dataKeyId: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(FORMAT), dataKeyId]);
}

/** The id of the data key that a record, or a wrapped key, names; `undefined` for what has no such form. Proves nothing. */
export function dataKeyIdOf(record: Uint8Array): Buffer | undefined {
  if (record.length < SHORTEST_RECORD_BYTES || record[0] !== FORMAT) return undefined;
  return Buffer.from(record.subarray(1, 1 + DATA_KEY_ID_BYTES));
}

/** Wraps a data key under the master key (32 bytes); `salt` is 32 fresh random bytes. */
export function wrapDataKey(
  masterKey: Uint8Array,
  storeId: Uint8Array,
  dataKey: DataKey,
  salt: Uint8Array,
): Buffer {
  const place = { storeId, name: WRAPPED_KEY_NAME };
  return seal(masterKey, WRAPPING_KEY_INFO, dataKey.id, place, dataKey.key, salt);
}

/** Unwraps a data key. Throws like {@link openRecord}, with `data-key` as the name, when the master key is another. */
export function unwrapDataKey(masterKey: Uint8Array, storeId: Uint8Array, wrapped: Uint8Array): DataKey {
  const place = { storeId, name: WRAPPED_KEY_NAME };
  const parts = split(wrapped, place.name);
  if (wrapped.length !== WRAPPED_KEY_BYTES) {
    throw damaged('RECORD_DOES_NOT_OPEN', place.name, 'does not have the length of a wrapped key');
  }
  const key = open(masterKey, WRAPPING_KEY_INFO, place, parts);
  return { id: Buffer.from(parts.keyId), key };
}

interface Parts {
  readonly keyId: Buffer;
  readonly salt: Buffer;
  readonly ciphertext: Buffer;
  readonly tag: Buffer;
}

function seal(
  secret: Uint8Array,
  info: string,
  keyId: Uint8Array,
  place: Place,
  plaintext: Uint8Array,
  salt: Uint8Array,
): Buffer {
  requireLength('salt', salt, SALT_BYTES);
  requireLength('key', secret, KEY_BYTES);
  requireLength('data-key id', keyId, DATA_KEY_ID_BYTES);
  requireLength('store id', place.storeId, STORE_ID_BYTES);
  const key = deriveKey(secret, salt, info);
  const cipher = createCipheriv('chacha20-poly1305', key, zeroNonce(), { authTagLength: TAG_BYTES });
  key.fill(0);
  cipher.setAAD(associatedData(place, keyId), { plaintextLength: plaintext.length });
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([Uint8Array.of(FORMAT), keyId, salt, ciphertext, cipher.getAuthTag()]);
}

function open(secret: Uint8Array, info: string, place: Place, parts: Parts): Buffer {
  const key = deriveKey(secret, parts.salt, info);
  const decipher = createDecipheriv('chacha20-poly1305', key, zeroNonce(), { authTagLength: TAG_BYTES });
  key.fill(0);
  decipher.setAAD(associatedData(place, parts.keyId), { plaintextLength: parts.ciphertext.length });
  decipher.setAuthTag(parts.tag);
  const plaintext = decipher.update(parts.ciphertext);
  try {
    decipher.final();
  } catch (cause) {
    plaintext.fill(0);
    throw damaged(
      'RECORD_DOES_NOT_OPEN',
      place.name,
      'was altered, or belongs to another name or store',
      cause,
    );
  }
  return plaintext;
}

function split(record: unknown, name: string): Parts {
  // SQLite keeps in a column of bytes whatever somebody wrote into it.
  if (!(record instanceof Uint8Array)) throw damaged('RECORD_UNKNOWN_FORMAT', name, 'holds no bytes');
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.length);
  if (bytes.length < SHORTEST_RECORD_BYTES) {
    throw damaged('RECORD_TOO_SHORT', name, 'is shorter than any record');
  }
  if (bytes[0] !== FORMAT) {
    throw damaged('RECORD_UNKNOWN_FORMAT', name, 'has a format that this version does not know');
  }
  return {
    keyId: bytes.subarray(1, 1 + DATA_KEY_ID_BYTES),
    salt: bytes.subarray(1 + DATA_KEY_ID_BYTES, HEADER_BYTES),
    ciphertext: bytes.subarray(HEADER_BYTES, bytes.length - TAG_BYTES),
    tag: bytes.subarray(bytes.length - TAG_BYTES),
  };
}

function deriveKey(secret: Uint8Array, salt: Uint8Array, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, info, KEY_BYTES));
}

function associatedData(place: Place, keyId: Uint8Array): Buffer {
  return enc(place.storeId, keyId, place.name, FORMAT);
}

/** RFC 8439 §2.8: 96 bits. Zero, because each key seals one record. */
function zeroNonce(): Buffer {
  return Buffer.alloc(12);
}

function requireLength(what: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw new RangeError(`${what} must be ${length} bytes`);
}

function damaged(reason: string, name: string, what: string, cause?: unknown): DomainError {
  return new DomainError(
    'corrupt',
    reason,
    `The record "${name}" ${what}. Restore the store from a backup.`,
    {
      cause,
    },
  );
}
