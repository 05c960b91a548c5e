import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DerReader, oidOf, timeOf, unsignedOf, type DerElement } from './der.js';
import { encodeDer, encodeOid, encodeTime, encodeUnsigned } from './der-writer.js';

const read = (der: Buffer): DerElement => {
  const reader = new DerReader(der);
  const element = reader.next();
  reader.end();
  return element;
};

describe('elements', () => {
  it.each([0x10000, 0xffffff])('of %d bytes have their length in three', (length) => {
    const written = encodeDer(0x04, Buffer.alloc(length));
    expect(written.length).toBe(5 + length);
    expect(read(written).value.length).toBe(length);
  });

  it('of 16 MiB are not written', () => {
    expect(() => encodeDer(0x04, Buffer.alloc(0x1000000))).toThrow('16 MiB');
  });
});

describe('integers', () => {
  it.each([
    ['00', '020100'],
    ['0000', '020100'],
    ['7f', '02017f'],
    ['80', '02020080'],
    ['0080', '02020080'],
    ['000001', '020101'],
  ])('%s is written as %s', (magnitude, der) => {
    expect(encodeUnsigned(Buffer.from(magnitude, 'hex')).toString('hex')).toBe(der);
  });

  it('are read back as they were', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 160n }), (value) => {
        const hex = value.toString(16);
        const magnitude = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
        expect(unsignedOf(read(encodeUnsigned(magnitude))).equals(magnitude)).toBe(true);
      }),
    );
  });

  it('have at least one byte', () => {
    expect(() => encodeUnsigned(Buffer.alloc(0))).toThrow('no bytes');
  });
});

describe('object identifiers', () => {
  it.each([
    ['2.5.29.37', '0603551d25'],
    ['1.3.6.1.5.5.7.3.2', '06082b06010505070302'],
    ['1.2.840.113549.1.1.1', '06092a864886f70d010101'],
    ['2.999', '06028837'],
  ])('%s is written as %s', (dotted, der) => {
    expect(encodeOid(dotted).toString('hex')).toBe(der);
  });

  it('are read back as they were', () => {
    const arc = fc.integer({ min: 0, max: 0x7fffffff });
    const start = fc.constantFrom('0.9', '1.39', '2.40', '2.999');
    fc.assert(
      fc.property(start, fc.array(arc, { maxLength: 8 }), (first, rest) => {
        const dotted = [first, ...rest].join('.');
        expect(oidOf(read(encodeOid(dotted)))).toBe(dotted);
      }),
    );
  });

  it.each(['', '2', '3.1', '1.40', '2.5.', '2.05', '2.5.x', '-1.2', '2.5 '])('"%s" is none', (text) => {
    expect(() => encodeOid(text)).toThrow('no object identifier');
  });
});

describe('times (RFC 5280 §4.1.2.5)', () => {
  it.each([
    [Date.UTC(1950, 0, 1), 0x17, '500101000000Z'],
    [Date.UTC(1999, 11, 31, 23, 59, 59), 0x17, '991231235959Z'],
    [Date.UTC(2049, 11, 31, 23, 59, 59), 0x17, '491231235959Z'],
    [Date.UTC(2050, 0, 1), 0x18, '20500101000000Z'],
    [Date.UTC(9999, 11, 31, 23, 59, 59), 0x18, '99991231235959Z'],
  ])('%d is written with tag %d as %s', (time, tag, text) => {
    const { tag: written, value } = read(encodeTime(time));
    expect([written, value.toString('latin1')]).toEqual([tag, text]);
  });

  it('are read back as they were', () => {
    const seconds = fc.integer({ min: Date.UTC(1950, 0, 1) / 1000, max: Date.UTC(10_000, 0, 1) / 1000 - 1 });
    fc.assert(
      fc.property(seconds, (time) => {
        expect(timeOf(read(encodeTime(time * 1000)))).toBe(time * 1000);
      }),
    );
  });

  it.each([
    ['a fraction of a second', 1, 'whole seconds'],
    ['no number', Number.NaN, 'whole seconds'],
    ['1949', Date.UTC(1950, 0, 1) - 1000, '1950 to 9999'],
    ['the year 10 000', Date.UTC(10_000, 0, 1), '1950 to 9999'],
  ])('are not written: %s', (_name, time, message) => {
    expect(() => encodeTime(time)).toThrow(message);
  });
});
