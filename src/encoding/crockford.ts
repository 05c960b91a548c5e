/**
 * Crockford's base 32 (docs/protocol.md, "Pairing" and "Operator token"): 0-9 and A-Z without I, L, O, U. Bytes are
 * written highest bit first and filled up with zero bits at the end; there is no padding and no check symbol.
 */

export type LetterCase = 'upper' | 'lower';

const ALPHABETS: Record<LetterCase, string> = {
  upper: '0123456789ABCDEFGHJKMNPQRSTVWXYZ',
  lower: '0123456789abcdefghjkmnpqrstvwxyz',
};

const BITS_A_CHARACTER = 5;

/** Characters that `byteLength` bytes take. */
export const crockfordLength = (byteLength: number): number => Math.ceil((byteLength * 8) / BITS_A_CHARACTER);

export function encodeCrockford(bytes: Uint8Array, letterCase: LetterCase): string {
  let text = '';
  let buffered = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffered = (buffered << 8) | byte;
    bits += 8;
    while (bits >= BITS_A_CHARACTER) {
      bits -= BITS_A_CHARACTER;
      text += crockfordCharacter(buffered >> bits, letterCase);
    }
    buffered &= (1 << bits) - 1;
  }
  if (bits > 0) text += crockfordCharacter(buffered << (BITS_A_CHARACTER - bits), letterCase);
  return text;
}

/**
 * The `byteLength` bytes that `text` spells, or `undefined` for any other spelling than {@link encodeCrockford}'s own:
 * another length, the other case, a letter outside the alphabet, a fill bit that is set.
 */
export function decodeCrockford(
  text: string,
  byteLength: number,
  letterCase: LetterCase,
): Buffer | undefined {
  if (text.length !== crockfordLength(byteLength)) return undefined;
  const bytes = Buffer.alloc(byteLength);
  let buffered = 0;
  let bits = 0;
  let written = 0;
  for (const character of text) {
    const value = ALPHABETS[letterCase].indexOf(character);
    if (value < 0) return undefined;
    buffered = (buffered << BITS_A_CHARACTER) | value;
    bits += BITS_A_CHARACTER;
    if (bits < 8) continue;
    bits -= 8;
    bytes[written] = buffered >> bits;
    written += 1;
    buffered &= (1 << bits) - 1;
  }
  return buffered === 0 ? bytes : undefined;
}

/** One character for the low five bits of `value`. */
export function crockfordCharacter(value: number, letterCase: LetterCase): string {
  return ALPHABETS[letterCase].charAt(value & 31);
}

/** Whether every character of `text` stands in the alphabet, in this case. An empty text does. */
export function isCrockford(text: string, letterCase: LetterCase): boolean {
  return Array.from(text).every((character) => ALPHABETS[letterCase].includes(character));
}

/**
 * What a person typed, in upper case: blanks (space, tab, CR, LF) and `-` are dropped wherever they stand, O is read as
 * 0, I and L as 1. `undefined` when anything else is outside the alphabet. The ASCII check stands before the change of
 * case: U+212A (Kelvin sign) lower-cases to `k` and U+017F upper-cases to `S`.
 */
export function readTypedCrockford(text: string): string | undefined {
  const dense = text.replace(/[ \t\r\n-]/g, '');
  if (!/^[0-9A-Za-z]*$/.test(dense)) return undefined;
  const upper = dense.toUpperCase().replaceAll('O', '0').replace(/[IL]/g, '1');
  return isCrockford(upper, 'upper') ? upper : undefined;
}
