/**
 * The canonical encoding of everything that is signed or hashed (docs/protocol.md, "Encoding"): each byte string after
 * its length as an unsigned 8-byte little-endian integer, as RFC 9383 §3.3 builds TT.
 */

/** Bytes, text, a number, an absent field (`null`), or a list of these, which is one byte string: the `enc` of its items. */
export type Field = Uint8Array | string | number | null | readonly Field[];

/** Thrown for what has no canonical form: lone surrogates, U+0000, and numbers outside 0 … 2^53 − 1. */
export class CanonicalEncodingError extends Error {
  constructor(
    readonly reason: 'surrogate' | 'nul' | 'number',
    message: string,
  ) {
    super(message);
    this.name = 'CanonicalEncodingError';
  }
}

/** `enc(x1 … xn)`. Throws {@link CanonicalEncodingError}. */
export function enc(...fields: readonly Field[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const field of fields) {
    const bytes = fieldBytes(field);
    parts.push(lengthPrefix(bytes.length), bytes);
  }
  return Buffer.concat(parts);
}

function fieldBytes(field: Field): Uint8Array {
  if (field === null) return Buffer.alloc(0);
  if (typeof field === 'string') return textBytes(field);
  if (typeof field === 'number') return Buffer.from(decimal(field), 'ascii');
  if (field instanceof Uint8Array) return field;
  return enc(...field);
}

function lengthPrefix(length: number): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(length));
  return prefix;
}

function textBytes(text: string): Buffer {
  if (!text.isWellFormed()) throw new CanonicalEncodingError('surrogate', 'the text holds a lone surrogate');
  if (text.includes('\u0000')) throw new CanonicalEncodingError('nul', 'the text holds U+0000');
  return Buffer.from(text, 'utf8');
}

function decimal(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0 || Object.is(value, -0)) {
    throw new CanonicalEncodingError('number', 'numbers are integers from 0 to 2^53 − 1');
  }
  return value.toString(10);
}
