import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { isDeviceId, newDeviceId, parseDeviceId } from './device-id.js';

interface CodeVectors {
  device_ids: { accepted: string[]; refused: string[] };
}
const vectors = (JSON.parse(readFileSync('test/vectors/code.json', 'utf8')) as CodeVectors).device_ids;

describe('device ids', () => {
  it.each(vectors.accepted)('accepts %j', (text) => {
    expect(isDeviceId(text)).toBe(true);
    expect(parseDeviceId(text)).toBe(text);
  });

  it.each(vectors.refused)('refuses %j', (text) => {
    expect(isDeviceId(text)).toBe(false);
    expect(() => parseDeviceId(text)).toThrow(expect.objectContaining({ reason: 'INVALID_DEVICE_ID' }));
  });

  it('are made of the time and 80 random bits', () => {
    // The example of the ULID specification.
    const id = newDeviceId({ now: () => 1469918176385 }, (size) => Buffer.alloc(size, 0xff));
    expect(id).toBe('01ARYZ6S41ZZZZZZZZZZZZZZZZ');
  });

  it('are canonical and sort by time', () => {
    const time = fc.integer({ min: 0, max: 2 ** 48 - 2 });
    const random = (size: number): Buffer => Buffer.alloc(size, 0x5a);
    fc.assert(
      fc.property(time, (now) => {
        const id = newDeviceId({ now: () => now }, random);
        expect(isDeviceId(id)).toBe(true);
        expect(id < newDeviceId({ now: () => now + 1 }, random)).toBe(true);
      }),
    );
  });

  it('refuse a time that does not fit', () => {
    expect(() => newDeviceId({ now: () => 2 ** 48 }, (size) => Buffer.alloc(size))).toThrow(RangeError);
  });
});
