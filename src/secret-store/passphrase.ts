/** Master keys derived from a passphrase (docs/protocol.md, "Sealed records"). Pure. */
import { scrypt } from 'node:crypto';
import { DomainError } from '../errors/domain-error.js';
import { KEY_BYTES, SALT_BYTES } from './sealed-record.js';

/** Stands in clear in table `store`. RFC 7914: N is the cost, a power of two; memory is 128·N·r bytes. */
export interface ScryptParameters {
  /** 32 bytes. */
  readonly salt: Buffer;
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** 128 MiB and about 0.4 s, once at each start. */
export const DEFAULT_SCRYPT_COST = { n: 2 ** 17, r: 8, p: 1 } as const;

/** Refused below: a passphrase is attacked offline by whoever copies the file. */
export const SHORTEST_PASSPHRASE_BYTES = 12;

/** What a passphrase must have before it becomes a key. Six random words of a list of 7 776 carry 77 bits. */
const LEAST_WORDS = 6;
const LEAST_LETTERS = 18;

const LEAST_N = 2 ** 15;
const GREATEST_N = 2 ** 20;
const R = 8;
const GREATEST_P = 4;

/**
 * Throws `wrong_state`, `STORE_PASSPHRASE_WEAK`, unless it has at least six different words, of three letters on average.
 * Asked of a new passphrase only: an old one opens the store or not.
 */
export function requirePassphrase(passphrase: Buffer): void {
  const words = new Set(
    passphrase
      .toString('utf8')
      .split(/\s+/u)
      .filter((word) => word !== ''),
  );
  const letters = [...words].reduce((sum, word) => sum + word.length, 0);
  if (words.size >= LEAST_WORDS && letters >= LEAST_LETTERS) return;
  throw new DomainError(
    'wrong_state',
    'STORE_PASSPHRASE_WEAK',
    'A passphrase that protects the store has at least six different words, chosen at random: write such a one into the ' +
      'file, or use a key file (`openssl rand -hex 32`).',
  );
}

/**
 * Refuses costs out of bounds: too low ones would weaken the store, too high ones stop the start, and both may come from
 * who altered the file. Throws `corrupt`, `STORE_SCRYPT_COST`.
 */
export function requireScryptBounds(parameters: ScryptParameters): void {
  const { salt, n, r, p } = parameters;
  const powerOfTwo = Number.isInteger(Math.log2(n));
  const inBounds = n >= LEAST_N && n <= GREATEST_N && r === R && p >= 1 && p <= GREATEST_P;
  if (powerOfTwo && inBounds && Number.isInteger(p) && salt.length === SALT_BYTES) return;
  throw new DomainError(
    'corrupt',
    'STORE_SCRYPT_COST',
    `The scrypt parameters in the store are out of bounds (N 2^15 to 2^20, r 8, p 1 to 4, salt 32 bytes): restore it from a backup.`,
  );
}

/** The 32-byte master key. Throws like {@link requireScryptBounds}. */
export async function deriveMasterKey(passphrase: Uint8Array, parameters: ScryptParameters): Promise<Buffer> {
  requireScryptBounds(parameters);
  const { salt, n, r, p } = parameters;
  const options = { N: n, r, p, maxmem: 256 * n * r };
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, KEY_BYTES, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
