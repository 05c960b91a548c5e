/** Where the key comes from that wraps the store's data keys. */
import { join } from 'node:path';
import { DomainError } from '../errors/domain-error.js';
import type { RandomBytes } from '../random/random-bytes.js';
import type { ScryptParameters } from './passphrase.js';
import {
  DEFAULT_SCRYPT_COST,
  deriveMasterKey,
  requirePassphrase,
  SHORTEST_PASSPHRASE_BYTES,
} from './passphrase.js';
import { createPrivateFile, readPrivateFile } from './private-file.js';
import { KEY_BYTES, SALT_BYTES } from './sealed-record.js';

/** One of the settings. `default-key-file` is `store.key` in the data directory, made at first start. */
export type MasterKeySource =
  | { readonly kind: 'default-key-file' }
  /** A file that must be there: a mounted secret, or one made by hand. */
  | { readonly kind: 'key-file'; readonly path: string }
  | {
      readonly kind: 'passphrase-file';
      readonly path: string;
      /** For the store that is made with it; later the store says so itself. */
      readonly cost?: { readonly n: number; readonly r: number; readonly p: number };
    };

export const DEFAULT_KEY_FILE = 'store.key';
const KEY_FILE_CONTENT = /^[0-9a-f]{64}\r?\n?$/;
const LARGEST_KEY_FILE_BYTES = 128;
const LARGEST_PASSPHRASE_BYTES = 4_096;

/** What a source held: the key itself, or a passphrase that still needs the parameters in the store. */
export interface MasterKeyMaterial {
  readonly kind: 'key' | 'passphrase';
  readonly secret: Buffer;
}

/** The file of a source. */
export function masterKeyPath(source: MasterKeySource, dataDir: string): string {
  return source.kind === 'default-key-file' ? join(dataDir, DEFAULT_KEY_FILE) : source.path;
}

/**
 * Reads the source. With `mayCreate`, which means that there is no store yet, the default key file is made if it is not
 * there; otherwise a missing key is an error, since a new one would open nothing.
 *
 * Throws `STORE_KEY_MISSING`, `STORE_KEY_MALFORMED`, `STORE_PASSPHRASE_TOO_SHORT` or what `readPrivateFile` throws.
 */
export async function readMasterKey(
  source: MasterKeySource,
  options: { readonly dataDir: string; readonly mayCreate: boolean; readonly random: RandomBytes },
): Promise<MasterKeyMaterial> {
  const path = masterKeyPath(source, options.dataDir);
  const found = await readMasterKeyFile(source, path);
  if (found !== undefined) return found;
  if (source.kind === 'default-key-file' && options.mayCreate) {
    const secret = newMasterKey(options.random);
    await createPrivateFile(path, keyFileContent(secret));
    return { kind: 'key', secret };
  }
  throw missingMasterKey(source, path);
}

/**
 * What a file of this kind of source holds; `undefined` when it is not there. Only the default key file may be no link:
 * mounted secrets are links. Throws `STORE_KEY_MALFORMED`, `STORE_PASSPHRASE_TOO_SHORT` or what `readPrivateFile` throws.
 */
export async function readMasterKeyFile(
  { kind }: MasterKeySource,
  path: string,
): Promise<MasterKeyMaterial | undefined> {
  const secret =
    kind === 'passphrase-file'
      ? await readPassphraseFile(path)
      : await readKeyFile(path, kind === 'key-file');
  if (secret === undefined) return undefined;
  return { kind: kind === 'passphrase-file' ? 'passphrase' : 'key', secret };
}

/** 32 random bytes. */
export function newMasterKey(random: RandomBytes): Buffer {
  return random(KEY_BYTES);
}

/** A key as its file holds it: 64 hex digits and a line end. */
export function keyFileContent(key: Uint8Array): Buffer {
  return Buffer.from(`${Buffer.from(key).toString('hex')}\n`, 'latin1');
}

export function missingMasterKey(source: MasterKeySource, path: string): DomainError {
  return new DomainError(
    'wrong_state',
    'STORE_KEY_MISSING',
    `The key file ${path} is not there: ${REMEDY[source.kind]}.`,
  );
}

const REMEDY: Readonly<Record<MasterKeySource['kind'], string>> = {
  'default-key-file': 'put back the one this store was made with',
  'key-file':
    'make one for a new store with `openssl rand -hex 32` in a file of mode 600, or put back the old one',
  'passphrase-file': 'write the passphrase into it',
};

/**
 * Parameters for what is to be wrapped anew: a new store, or one that gets this key; `null` for a key that is used as it
 * is. Throws `STORE_PASSPHRASE_WEAK` for a passphrase that should not become a key.
 */
export function newScryptParameters(
  source: MasterKeySource,
  material: MasterKeyMaterial,
  random: RandomBytes,
): ScryptParameters | null {
  if (source.kind !== 'passphrase-file') return null;
  requirePassphrase(material.secret);
  return { salt: random(SALT_BYTES), ...(source.cost ?? DEFAULT_SCRYPT_COST) };
}

/**
 * The 32-byte master key of a store with these parameters. The caller overwrites it after use. Throws
 * `STORE_KEY_WRONG_KIND` if the store was made with a passphrase and this is a key file, or the other way round.
 */
export async function masterKeyOf(
  material: MasterKeyMaterial,
  parameters: ScryptParameters | null,
): Promise<Buffer> {
  if (material.kind === 'key' && parameters === null) return Buffer.from(material.secret);
  if (material.kind === 'passphrase' && parameters !== null) {
    return deriveMasterKey(material.secret, parameters);
  }
  const [made, given] = parameters === null ? ['a key file', 'a passphrase'] : ['a passphrase', 'a key file'];
  throw new DomainError(
    'wrong_state',
    'STORE_KEY_WRONG_KIND',
    `This store opens with ${made}, but ${given} was given: set PALYRA_STORE_KEY_FILE or PALYRA_STORE_PASSPHRASE_FILE accordingly.`,
  );
}

async function readKeyFile(path: string, followLinks: boolean): Promise<Buffer | undefined> {
  const content = await readPrivateFile(path, { followLinks, maxBytes: LARGEST_KEY_FILE_BYTES });
  if (content === undefined) return undefined;
  const text = content.toString('latin1');
  content.fill(0);
  if (!KEY_FILE_CONTENT.test(text)) {
    throw new DomainError(
      'wrong_state',
      'STORE_KEY_MALFORMED',
      `${path} does not hold a key: 64 lower-case hex digits and a line end. Put back the file this store was made with.`,
    );
  }
  return Buffer.from(text.slice(0, KEY_BYTES * 2), 'hex');
}

async function readPassphraseFile(path: string): Promise<Buffer | undefined> {
  const content = await readPrivateFile(path, { followLinks: true, maxBytes: LARGEST_PASSPHRASE_BYTES });
  if (content === undefined) return undefined;
  const passphrase = withoutLineEnd(content);
  if (passphrase.length < SHORTEST_PASSPHRASE_BYTES) {
    throw new DomainError(
      'wrong_state',
      'STORE_PASSPHRASE_TOO_SHORT',
      `The passphrase in ${path} is shorter than ${SHORTEST_PASSPHRASE_BYTES} bytes: choose a longer one.`,
    );
  }
  return passphrase;
}

/** Editors end the last line; that is not part of the passphrase. */
function withoutLineEnd(content: Buffer): Buffer {
  let end = content.length;
  if (end > 0 && content[end - 1] === 0x0a) end -= 1;
  if (end > 0 && content[end - 1] === 0x0d) end -= 1;
  return content.subarray(0, end);
}
