import { createHash } from 'node:crypto';
import { wordlist } from '@scure/bip39/wordlists/english.js';

const WORDS = 6;
const BITS_A_WORD = 11;

/** SHA-256 of the 32-byte identity key, lower-case hex: what operator and device compare. */
export function identityFingerprint(identityKey: Uint8Array): string {
  return createHash('sha256').update(identityKey).digest('hex');
}

/**
 * The six words of a fingerprint: its first 66 bits, highest bit first, 11 a word, in the BIP-39 English list. Throws
 * RangeError when `fingerprint` is not 64 characters of lower-case hex.
 */
export function fingerprintWords(fingerprint: string): readonly string[] {
  if (!/^[0-9a-f]{64}$/.test(fingerprint))
    throw new RangeError('a fingerprint is 64 characters of lower-case hex');
  const bits = BigInt(`0x${fingerprint}`);
  return Array.from({ length: WORDS }, (_, index) => {
    const shift = 256 - BITS_A_WORD * (index + 1);
    return wordAt(Number((bits >> BigInt(shift)) & 0x7ffn));
  });
}

function wordAt(index: number): string {
  const word = wordlist[index];
  if (word === undefined) throw new RangeError('the word list is incomplete');
  return word;
}
