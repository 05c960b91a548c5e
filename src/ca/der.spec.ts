import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  booleanOf,
  DerError,
  DerReader,
  oidOf,
  openSequence,
  smallIntegerOf,
  timeOf,
  unsignedOf,
} from './der.js';
import { encodeDer, encodeOid, encodeSequence } from './der-writer.js';

const element = (hex: string) => new DerReader(Buffer.from(hex, 'hex')).next();
const time = (tag: number, text: string) => timeOf(new DerReader(encodeDer(tag, Buffer.from(text))).next());

describe('the DER reader', () => {
  it('reads what the writer wrote, whatever the length', () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
      const value = Buffer.alloc(length, 7);
      expect(
        openSequence(encodeSequence(encodeDer(0x04, value)))
          .next(0x04)
          .value.equals(value),
      ).toBe(true);
    }
  });

  it.each([
    ['nothing', '', 'end in the middle'],
    ['a tag alone', '30', 'end in the middle'],
    ['a value cut off', '300301', 'longer than what holds it'],
    ['indefinite length', '3080', 'indefinite'],
    ['a length of four bytes', '308400000001ff', 'indefinite or oversized'],
    ['a length in two bytes that fits in one', '30810105', 'shortest form'],
    ['a length with a leading zero', '3082007f', 'shortest form'],
    ['a tag of several bytes', '1f8101', 'several bytes'],
  ])('refuses %s', (_name, hex, message) => {
    expect(() => element(hex)).toThrow(message);
  });

  it('refuses another tag and trailing bytes', () => {
    expect(() => new DerReader(Buffer.from('0500', 'hex')).next(0x30)).toThrow(
      'found tag 0x5 where 0x30 belongs',
    );
    expect(() => openSequence(Buffer.from('300000', 'hex'))).toThrow('bytes follow');
  });

  it('refuses an element that is longer than the one that holds it, though the bytes behind are there', () => {
    const outer = new DerReader(Buffer.from('30040403aabbccdd', 'hex'));
    const inner = outer.enter();
    expect(() => inner.next(0x04)).toThrow('longer than what holds it');
    const cut = new DerReader(Buffer.from('3001040500', 'hex')).enter();
    expect(() => cut.next()).toThrow('end in the middle');
    const empty = new DerReader(Buffer.from('30000500', 'hex')).enter();
    expect(empty.done).toBe(true);
    expect(empty.peek()).toBeUndefined();
  });

  it('reads the same object identifier the same, the first time and later, among more than it remembers', () => {
    const oids = Array.from({ length: 200 }, (_none, arc) => `1.2.${arc}.300.70000`);
    for (let round = 0; round < 2; round += 1) {
      for (const oid of oids) expect(oidOf(new DerReader(encodeOid(oid)).next())).toBe(oid);
    }
  });

  it('throws nothing but DerError, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          const reader = new DerReader(Buffer.from(bytes));
          while (!reader.done) oidOf(reader.next());
        } catch (error) {
          expect(error).toBeInstanceOf(DerError);
        }
      }),
    );
  });
});

describe('integers', () => {
  it('are magnitudes in their shortest form', () => {
    expect(unsignedOf(element('020200ff')).toString('hex')).toBe('ff');
    expect(unsignedOf(element('020100')).toString('hex')).toBe('00');
    expect(smallIntegerOf(element('02047fffffff'))).toBe(0x7fffffff);
  });

  it.each([
    ['0200', 'empty'],
    ['0201ff', 'negative'],
    ['0202007f', 'shortest form'],
  ])('are refused: %s', (hex, message) => {
    expect(() => unsignedOf(element(hex))).toThrow(message);
  });

  it('are refused above 2^31 − 1 where they count something', () => {
    expect(() => smallIntegerOf(element('02050080000000'))).toThrow('too large');
    expect(() => smallIntegerOf(element('02050100000000'))).toThrow('too large');
  });
});

describe('booleans', () => {
  it('are ff or 00', () => {
    expect(booleanOf(element('0101ff'))).toBe(true);
    expect(booleanOf(element('010100'))).toBe(false);
    expect(() => booleanOf(element('010101'))).toThrow('not a DER boolean');
  });
});

describe('object identifiers', () => {
  it.each([
    ['0603551d25', '2.5.29.37'],
    ['06082b06010505070302', '1.3.6.1.5.5.7.3.2'],
    ['06092a864886f70d010101', '1.2.840.113549.1.1.1'],
    ['060288 37'.replace(' ', ''), '2.999'],
  ])('%s is %s', (hex, dotted) => {
    expect(oidOf(element(hex))).toBe(dotted);
  });

  it.each([
    ['0600', 'cut off'],
    ['06022a86', 'cut off'],
    ['06032a8001', 'shortest form'],
    ['060aff ffff ffff ffff ffff 7f'.replaceAll(' ', ''), 'too large'],
  ])('%s is refused', (hex, message) => {
    expect(() => oidOf(element(hex))).toThrow(message);
  });
});

describe('times (RFC 5280 §4.1.2.5)', () => {
  it('are UTCTime through 2049 and GeneralizedTime after', () => {
    expect(time(0x17, '491231235959Z')).toBe(Date.UTC(2049, 11, 31, 23, 59, 59));
    expect(time(0x17, '500101000000Z')).toBe(Date.UTC(1950, 0, 1));
    expect(time(0x18, '20500101000000Z')).toBe(Date.UTC(2050, 0, 1));
    expect(time(0x17, '240229120000Z')).toBe(Date.UTC(2024, 1, 29, 12));
  });

  it.each([
    ['without seconds', 0x17, '2601010000Z'],
    ['with an offset', 0x17, '260101000000+0100'],
    ['with a fraction', 0x18, '20500101000000.5Z'],
    ['GeneralizedTime before 2050', 0x18, '20260101000000Z'],
    ['30 February', 0x17, '260230000000Z'],
    ['month 13', 0x17, '261301000000Z'],
    ['hour 24', 0x17, '260101240000Z'],
    ['second 60', 0x17, '260101000060Z'],
    ['of another type', 0x0c, '260101000000Z'],
  ])('are refused: %s', (_name, tag, text) => {
    expect(() => time(tag, text)).toThrow(DerError);
  });
});
