/**
 * Strict reader for DER (X.690 §8.1, §10.1): definite lengths in their shortest form, single-byte tags. It walks one
 * buffer without copying; what it returns are views of that buffer.
 */

/** The bytes are not the DER that was expected. Callers turn it into their own refusal. */
export class DerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DerError';
  }
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tag of a context-specific element: `[n]`, constructed or primitive. */
export const contextTag = (number: number, constructed: boolean): number =>
  (constructed ? 0xa0 : 0x80) | number;

/** One element; its views are made when they are asked for, since most elements need one of the two. */
export class DerElement {
  constructor(
    readonly tag: number,
    private readonly bytes: Buffer,
    private readonly start: number,
    private readonly valueStart: number,
    private readonly end: number,
  ) {}

  /** Tag, length and value. */
  get raw(): Buffer {
    return this.bytes.subarray(this.start, this.end);
  }

  get value(): Buffer {
    return this.bytes.subarray(this.valueStart, this.end);
  }

  /** The value, a character for each byte; cheaper than the bytes where they are only compared or kept. */
  get latin1(): string {
    return this.bytes.toString('latin1', this.valueStart, this.end);
  }

  /** A reader over what the element holds; cheaper than one over its {@link value}, which is a view of its own. */
  open(): DerReader {
    return new DerReader(this.bytes, this.valueStart, this.end);
  }
}

/** Longest length form that is read: three bytes, so elements of up to 16 MiB. */
const MAX_LENGTH_BYTES = 3;

export class DerReader {
  #position: number;

  /** Reads `bytes` from `start` up to `limit` and nothing beyond. */
  constructor(
    private readonly bytes: Buffer,
    start = 0,
    private readonly limit = bytes.length,
  ) {
    this.#position = start;
  }

  get done(): boolean {
    return this.#position === this.limit;
  }

  /** Tag of the next element, or `undefined` at the end. */
  peek(): number | undefined {
    return this.done ? undefined : this.bytes[this.#position];
  }

  /** Reads one element and moves past it. Throws {@link DerError}, also when its tag is not `expected`. */
  next(expected?: number): DerElement {
    const start = this.#position;
    const tag = this.#byte();
    if ((tag & 0x1f) === 0x1f) throw new DerError('tags of several bytes are not used here');
    if (expected !== undefined && tag !== expected) {
      throw new DerError(`found tag 0x${tag.toString(16)} where 0x${expected.toString(16)} belongs`);
    }
    const length = this.#length();
    const from = this.#position;
    if (from + length > this.limit) throw new DerError('the element is longer than what holds it');
    this.#position = from + length;
    return new DerElement(tag, this.bytes, start, from, this.#position);
  }

  /** Reads an element and returns a reader over what it holds. */
  enter(tag: number = TAG.sequence): DerReader {
    return this.next(tag).open();
  }

  /** Throws {@link DerError} unless everything was read. */
  end(): void {
    if (!this.done) throw new DerError('bytes follow where nothing should');
  }

  #byte(): number {
    const byte = this.peek();
    if (byte === undefined) throw new DerError('the bytes end in the middle of an element');
    this.#position += 1;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > MAX_LENGTH_BYTES) throw new DerError('indefinite or oversized length');
    let length = 0;
    for (let read = 0; read < count; read += 1) length = length * 256 + this.#byte();
    const shortest = length >= 0x80 && length >= 2 ** (8 * (count - 1));
    if (!shortest) throw new DerError('the length is not in its shortest form');
    return length;
  }
}

/** Reads the one element that `bytes` are. Throws {@link DerError} when anything precedes or follows it. */
export function readOnly(bytes: Buffer, tag: number): DerElement {
  const reader = new DerReader(bytes);
  const element = reader.next(tag);
  reader.end();
  return element;
}

/** Opens the one SEQUENCE that `bytes` are. */
export function openSequence(bytes: Buffer): DerReader {
  return readOnly(bytes, TAG.sequence).open();
}

/** BOOLEAN; DER knows only 0xff and 0x00 (X.690 §11.1). */
export function booleanOf(element: DerElement): boolean {
  if (element.value.length === 1 && element.value[0] === 0xff) return true;
  if (element.value.length === 1 && element.value[0] === 0x00) return false;
  throw new DerError('not a DER boolean');
}

/** Magnitude of a non-negative INTEGER, without the zero byte that keeps it positive. Zero is one zero byte. */
export function unsignedOf(element: DerElement): Buffer {
  const { value } = element;
  const [first, second] = value;
  if (first === undefined) throw new DerError('empty integer');
  if (first >= 0x80) throw new DerError('negative integer');
  if (first !== 0 || second === undefined) return value;
  if (second < 0x80) throw new DerError('the integer is not in its shortest form');
  return value.subarray(1);
}

/** Small non-negative INTEGER, at most 2^31 − 1. */
export function smallIntegerOf(element: DerElement): number {
  const magnitude = unsignedOf(element);
  if (magnitude.length > 4) throw new DerError('the integer is too large');
  const value = magnitude.readUIntBE(0, magnitude.length);
  if (value > 0x7fffffff) throw new DerError('the integer is too large');
  return value;
}

/** BIT STRING of whole bytes. */
export function wholeBitsOf(element: DerElement): Buffer {
  if (element.value[0] !== 0) throw new DerError('the bit string does not end at a byte');
  return element.value.subarray(1);
}

/** Dotted forms by the bytes of their values: the same few stand in every certificate. */
const knownOids = new Map<string, string>();
/** What is remembered is bounded, since strangers send certificates too; so is the length of one. */
const MAX_KNOWN_OIDS = 64;
const MAX_KNOWN_OID_BYTES = 16;

/** OBJECT IDENTIFIER in dotted form. */
export function oidOf(element: DerElement): string {
  const { latin1 } = element;
  const known = knownOids.get(latin1);
  if (known !== undefined) return known;
  const dotted = readOid(element.value);
  if (knownOids.size < MAX_KNOWN_OIDS && latin1.length <= MAX_KNOWN_OID_BYTES) knownOids.set(latin1, dotted);
  return dotted;
}

function readOid(value: Buffer): string {
  const arcs: number[] = [];
  let arc = 0;
  let inside = false;
  for (const byte of value) {
    if (!inside && byte === 0x80) throw new DerError('the object identifier is not in its shortest form');
    arc = arc * 128 + (byte & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER / 128) throw new DerError('the object identifier is too large');
    inside = byte >= 0x80;
    if (inside) continue;
    arcs.push(arc);
    arc = 0;
  }
  const [first, ...rest] = arcs;
  if (inside || first === undefined) throw new DerError('the object identifier is cut off');
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - root * 40, ...rest].join('.');
}

/**
 * A time of a certificate in Unix milliseconds (RFC 5280 §4.1.2.5): UTCTime through 2049, GeneralizedTime from 2050
 * on, with seconds, in UTC, without fractions.
 */
export function timeOf(element: DerElement): number {
  const isUtcTime = element.tag === TAG.utcTime;
  if (!isUtcTime && element.tag !== TAG.generalizedTime) throw new DerError('not a time');
  const [first = 0, ...rest] = digitPairsOf(element.value, isUtcTime ? 6 : 7);
  const year = isUtcTime ? first + (first >= 50 ? 1900 : 2000) : first * 100 + (rest.shift() ?? 0);
  if (!isUtcTime && year < 2050) throw new DerError('GeneralizedTime is for 2050 and later');
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = rest;
  const time = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  const exists = time.getUTCMonth() === month - 1 && time.getUTCDate() === day && hour < 24 && minute < 60;
  if (!exists || second > 59) throw new DerError('there is no such time');
  return time.getTime();
}

/** Numbers of two ASCII digits each, `count` of them, with a Z behind and nothing else. */
function digitPairsOf(text: Buffer, count: number): number[] {
  const wellFormed = text.length === count * 2 + 1 && text[count * 2] === 0x5a;
  const numbers: number[] = [];
  for (let index = 0; wellFormed && index < count; index += 1) {
    const tens = (text[index * 2] ?? 0) - 0x30;
    const ones = (text[index * 2 + 1] ?? 0) - 0x30;
    if (tens < 0 || tens > 9 || ones < 0 || ones > 9) break;
    numbers.push(tens * 10 + ones);
  }
  if (numbers.length !== count) throw new DerError('the time is not written as RFC 5280 wants it');
  return numbers;
}
