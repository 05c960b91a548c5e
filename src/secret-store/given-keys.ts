/** The master keys that a service is given. Start tries each, so a change of key may be cut off at any point. */
import { DomainError } from '../errors/domain-error.js';
import type { RandomBytes } from '../random/random-bytes.js';
import { TEMPORARY_SUFFIX } from './atomic-file.js';
import type { MasterKeyMaterial, MasterKeySource } from './master-key.js';
import { masterKeyPath, missingMasterKey, readMasterKey, readMasterKeyFile } from './master-key.js';

/** Where master keys come from, by the settings. */
export interface MasterKeySources {
  readonly current: MasterKeySource;
  /** The one that the store is to change to; it is tried too, before and after the change. */
  readonly next?: MasterKeySource | undefined;
  readonly dataDir: string;
}

/** One file that may hold the master key. */
export interface GivenKey {
  readonly source: MasterKeySource;
  readonly path: string;
  readonly role: 'current' | 'next';
  /** The file `<path>.new` beside that of the source: a change of key that was cut off, or is prepared. */
  readonly isBeside: boolean;
}

/** A {@link GivenKey} that is there, with what it holds. */
export interface ReadKey extends GivenKey {
  readonly material: MasterKeyMaterial;
}

/** Why the keys that were given do not open a store. */
const UNUSABLE = new Set(['STORE_KEY_MALFORMED', 'STORE_PASSPHRASE_TOO_SHORT']);
const DOES_NOT_OPEN = new Set(['STORE_KEY_WRONG', 'STORE_KEY_WRONG_KIND']);

/** Every file that may hold the key, in the order in which they are tried. */
export function givenKeys({ current, next, dataDir }: MasterKeySources): GivenKey[] {
  return [
    ...withFileBeside(current, 'current', dataDir),
    ...(next === undefined ? [] : withFileBeside(next, 'next', dataDir)),
  ];
}

function withFileBeside(source: MasterKeySource, role: GivenKey['role'], dataDir: string): GivenKey[] {
  const path = masterKeyPath(source, dataDir);
  return [
    { source, role, path, isBeside: false },
    { source, role, path: path + TEMPORARY_SUFFIX, isBeside: true },
  ];
}

/**
 * Reads all that are there. Throws what `readMasterKey` throws for the current one if none can be used; a file that is no
 * private one is refused whichever it is.
 */
export async function readGivenKeys(sources: MasterKeySources): Promise<ReadKey[]> {
  const found: ReadKey[] = [];
  let problem: DomainError | undefined;
  for (const key of givenKeys(sources)) {
    try {
      const material = await readMasterKeyFile(key.source, key.path);
      if (material !== undefined) found.push({ ...key, material });
    } catch (error) {
      if (!(error instanceof DomainError) || !UNUSABLE.has(error.reason)) throw error;
      problem ??= error;
    }
  }
  if (found.length > 0) return found;
  throw problem ?? missingMasterKey(sources.current, masterKeyPath(sources.current, sources.dataDir));
}

/** The key that a new store is made with: the current one, which the default source makes by itself. */
export async function keyForNewStore(sources: MasterKeySources, random: RandomBytes): Promise<ReadKey> {
  const { current: source, dataDir } = sources;
  const material = await readMasterKey(source, { dataDir, mayCreate: true, random });
  return { source, role: 'current', path: masterKeyPath(source, dataDir), isBeside: false, material };
}

/**
 * The first key that `open` takes, with what it gave. `open` throws `STORE_KEY_WRONG` or `STORE_KEY_WRONG_KIND` for a key
 * that is another; if all are, this throws one error that names the files.
 */
export async function firstThatOpens<T>(
  keys: readonly ReadKey[],
  open: (key: ReadKey) => Promise<T>,
): Promise<{ readonly key: ReadKey; readonly opened: T }> {
  const refusals: DomainError[] = [];
  for (const key of keys) {
    try {
      return { key, opened: await open(key) };
    } catch (error) {
      if (!(error instanceof DomainError) || !DOES_NOT_OPEN.has(error.reason)) throw error;
      refusals.push(error);
    }
  }
  throw noneOpens(keys, refusals);
}

/** Overwrites what was read. */
export function forgetKeys(keys: readonly ReadKey[]): void {
  for (const { material } of keys) material.secret.fill(0);
}

function noneOpens(keys: readonly ReadKey[], refusals: readonly DomainError[]): DomainError {
  const wrong = refusals.find(({ reason }) => reason === 'STORE_KEY_WRONG');
  if (wrong === undefined && refusals[0] !== undefined) return refusals[0];
  const paths = keys.map(({ path }) => path).join(', ');
  return new DomainError(
    'wrong_state',
    'STORE_KEY_WRONG',
    `The given key or passphrase does not open this store (tried ${paths}): give the one it was made with, or last changed to. A backup opens with the key that the store had then.`,
    { cause: wrong },
  );
}
