import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DomainError } from '../errors/domain-error.js';
import {
  decodeFrameBody,
  encodeFrame,
  FRAME_HEADER_BYTES,
  FrameDecoder,
  MAX_FRAME_BYTES,
  MAX_JSON_DEPTH,
} from './frame-codec.js';

const reasonOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return error instanceof DomainError ? error.reason : String(error);
  }
  return 'none';
};

const header = (length: number): Buffer => {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  bytes.writeUInt32BE(length);
  return bytes;
};

/** `depth` objects in each other, the innermost empty. */
const nested = (depth: number): string => '{"a":'.repeat(depth - 1) + '{}' + '}'.repeat(depth - 1);

describe('encodeFrame', () => {
  it('writes the length of the UTF-8 text, big-endian, before it', () => {
    expect(encodeFrame({ a: 'ü' }).toString('hex')).toBe(
      `0000000a${Buffer.from('{"a":"ü"}').toString('hex')}`,
    );
  });

  it('takes exactly 512 KiB and not a byte more', () => {
    const around = '{"a":""}'.length;
    expect(encodeFrame({ a: 'x'.repeat(MAX_FRAME_BYTES - around) })).toHaveLength(MAX_FRAME_BYTES + 4);
    expect(reasonOf(() => encodeFrame({ a: 'x'.repeat(MAX_FRAME_BYTES - around + 1) }))).toBe(
      'FRAME_TOO_LARGE',
    );
  });
});

describe('decodeFrameBody', () => {
  it.each([
    ['a byte order mark', Buffer.from('\uFEFF{}'), 'INVALID_JSON'],
    ['an overlong encoding', Buffer.from([0x22, 0xc0, 0x80, 0x22]), 'INVALID_UTF8'],
    ['an encoded surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'INVALID_UTF8'],
    ['a cut sequence', Buffer.from([0x22, 0xc3]), 'INVALID_UTF8'],
    ['null', Buffer.from('null'), 'NOT_AN_OBJECT'],
    ['a list', Buffer.from('[{}]'), 'NOT_AN_OBJECT'],
    ['two values', Buffer.from('{}{}'), 'INVALID_JSON'],
    ['too deep objects', Buffer.from(nested(MAX_JSON_DEPTH + 1)), 'JSON_TOO_DEEP'],
    ['100 000 open brackets', Buffer.from('{"a":' + '['.repeat(100_000)), 'JSON_TOO_DEEP'],
  ])('refuses %s', (_name, body, reason) => {
    expect(reasonOf(() => decodeFrameBody(body))).toBe(reason);
  });

  it('takes the deepest allowed nesting, and brackets in text do not count', () => {
    expect(decodeFrameBody(Buffer.from(nested(MAX_JSON_DEPTH)))).toBeDefined();
    const text = '[{'.repeat(100) + '\\"' + '['.repeat(100);
    expect(decodeFrameBody(Buffer.from(JSON.stringify({ text })))).toEqual({ text });
  });

  it('never throws anything but a malformed DomainError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const reason = reasonOf(() => decodeFrameBody(bytes));
        expect(reason).toMatch(/^(none|[A-Z_]+[A-Z0-9]*)$/);
      }),
    );
  });
});

describe('FrameDecoder', () => {
  it('gives the same frames however the bytes are cut', () => {
    const messages = fc.array(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), { maxLength: 5 });
    const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(messages, cuts, (sent, sizes) => {
        const bytes = Buffer.concat(sent.map((message) => encodeFrame(message)));
        const decoder = new FrameDecoder();
        const got: Uint8Array[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const size = sizes[turn % sizes.length]!;
          got.push(...decoder.push(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(got.map((body) => JSON.parse(Buffer.from(body).toString()) as unknown)).toEqual(
          sent.map((message) => JSON.parse(JSON.stringify(message)) as unknown),
        );
        expect(decoder.inFrame).toBe(false);
      }),
    );
  });

  it('refuses a length over the limit with its fourth byte, before any of the body', () => {
    const decoder = new FrameDecoder(10);
    decoder.push(header(11).subarray(0, 3));
    expect(decoder.declaredBytes).toBe(0);
    expect(reasonOf(() => decoder.push(header(11).subarray(3)))).toBe('FRAME_TOO_LARGE');
  });

  it('says what it has declared and whether it is within a frame', () => {
    const decoder = new FrameDecoder();
    expect(decoder.inFrame).toBe(false);
    decoder.push(header(100).subarray(0, 1));
    expect(decoder.inFrame).toBe(true);
    decoder.push(header(100).subarray(1));
    expect(decoder.declaredBytes).toBe(100);
    expect(decoder.push(Buffer.alloc(100))).toHaveLength(1);
    expect(decoder.declaredBytes).toBe(0);
  });

  it('keeps what has come in pieces, though their memory is used again', () => {
    const decoder = new FrameDecoder();
    const chunk = Buffer.alloc(4);
    const pushed = ['\0\0\0\x07', '{"a"', ':1}'].map((text) => {
      chunk.fill(0xff).write(text, 'latin1');
      return decoder.push(chunk.subarray(0, text.length));
    });
    expect(pushed.slice(0, 2)).toEqual([[], []]);
    expect(decodeFrameBody(pushed[2]![0]!)).toEqual({ a: 1 });
  });

  it('gives an empty frame without waiting for more', () => {
    expect(new FrameDecoder().push(header(0))).toEqual([Buffer.alloc(0)]);
  });
});
