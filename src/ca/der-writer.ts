import { contextTag, TAG } from './der.js';

/** Writer for DER (X.690 §8.1, §10.1, §11): what it gives, the strict reader takes. It knows one form of each value. */

/** One element: tag, shortest length, the parts one behind the other. At most 16 MiB. */
export function encodeDer(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const head = headBytes(length);
  const element = Buffer.allocUnsafe(head + length);
  element[0] = tag;
  writeLength(element, length, head);
  let position = head;
  for (const part of parts) {
    element.set(part, position);
    position += part.length;
  }
  return element;
}

/** How many bytes tag and length take. */
function headBytes(length: number): number {
  if (length < 0x80) return 2;
  if (length < 0x100) return 3;
  if (length < 0x10000) return 4;
  if (length < 0x1000000) return 5;
  throw new RangeError('an element of more than 16 MiB');
}

function writeLength(element: Buffer, length: number, head: number): void {
  if (head === 2) {
    element[1] = length;
    return;
  }
  element[1] = 0x80 | (head - 2);
  element.writeUIntBE(length, 2, head - 2);
}

export const encodeSequence = (...parts: readonly Uint8Array[]): Buffer => encodeDer(TAG.sequence, ...parts);

/** BIT STRING of whole bytes. */
export const encodeBits = (bytes: Uint8Array): Buffer => encodeDer(TAG.bitString, WHOLE_BYTES, bytes);

const WHOLE_BYTES = Buffer.of(0);

/** `[number]` around what it tags explicitly, or an implicitly tagged constructed element. */
export const encodeContext = (number: number, ...parts: readonly Uint8Array[]): Buffer =>
  encodeDer(contextTag(number, true), ...parts);

export const encodeOctets = (...parts: readonly Uint8Array[]): Buffer => encodeDer(TAG.octetString, ...parts);

export const encodeUtf8 = (text: string): Buffer => encodeDer(TAG.utf8String, Buffer.from(text, 'utf8'));

/** BOOLEAN; false is what is left out where it is the default (X.690 §11.5). */
export const TRUE: Buffer = Buffer.from('0101ff', 'hex');

/** INTEGER of a magnitude, big-endian: without needless zeros, with the one that keeps it positive. */
export function encodeUnsigned(magnitude: Uint8Array): Buffer {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1;
  const bytes = magnitude.subarray(start);
  const [first] = bytes;
  if (first === undefined) throw new RangeError('an integer of no bytes');
  return first < 0x80 ? encodeDer(TAG.integer, bytes) : encodeDer(TAG.integer, POSITIVE, bytes);
}

const POSITIVE = Buffer.of(0);

/** OBJECT IDENTIFIER of dotted form. Throws RangeError when the text is none. */
export function encodeOid(dotted: string): Buffer {
  if (!/^[0-2](\.(0|[1-9]\d{0,9}))+$/.test(dotted)) throw new RangeError(`${dotted} is no object identifier`);
  const [root = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  if (root < 2 && second > 39) throw new RangeError(`${dotted} is no object identifier`);
  return encodeDer(TAG.oid, Buffer.from([root * 40 + second, ...rest].flatMap(arcBytes)));
}

/** Base 128, most significant first, all but the last byte with the top bit set. */
function arcBytes(arc: number): number[] {
  const bytes = [arc % 128];
  for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
    bytes.unshift((left % 128) | 0x80);
  }
  return bytes;
}

const GENERALIZED_FROM = Date.UTC(2050, 0, 1);
const UTC_FROM = Date.UTC(1950, 0, 1);
const UNTIL = Date.UTC(10_000, 0, 1);

/**
 * A time of a certificate, from Unix milliseconds (RFC 5280 §4.1.2.5): UTCTime through 2049, GeneralizedTime from 2050
 * on, with seconds, in UTC. Throws RangeError for a fraction of a second, before 1950 and after 9999.
 */
export function encodeTime(time: number): Buffer {
  if (!Number.isSafeInteger(time) || time % 1000 !== 0)
    throw new RangeError('a time of whole seconds is wanted');
  if (time < UTC_FROM || time >= UNTIL) throw new RangeError('certificates know the years from 1950 to 9999');
  const date = new Date(time);
  const year = date.getUTCFullYear();
  const isUtcTime = time < GENERALIZED_FROM;
  const text = Buffer.allocUnsafe(isUtcTime ? 13 : 15);
  let at = isUtcTime ? 0 : writePair(text, 0, Math.floor(year / 100));
  at = writePair(text, at, year % 100);
  at = writePair(text, at, date.getUTCMonth() + 1);
  at = writePair(text, at, date.getUTCDate());
  at = writePair(text, at, date.getUTCHours());
  at = writePair(text, at, date.getUTCMinutes());
  at = writePair(text, at, date.getUTCSeconds());
  text[at] = ZULU;
  return encodeDer(isUtcTime ? TAG.utcTime : TAG.generalizedTime, text);
}

/** The Z of UTC. */
const ZULU = 0x5a;

/** Two ASCII digits of a number below 100. Returns where the next two go. */
function writePair(text: Buffer, at: number, number: number): number {
  text[at] = 0x30 + Math.floor(number / 10);
  text[at + 1] = 0x30 + (number % 10);
  return at + 2;
}
