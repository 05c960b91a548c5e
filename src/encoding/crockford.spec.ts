import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { crockfordLength, decodeCrockford, encodeCrockford, readTypedCrockford } from './crockford.js';

const anyCase = fc.constantFrom('upper' as const, 'lower' as const);

describe('Crockford base 32', () => {
  it('fills up with zero bits', () => {
    expect(encodeCrockford(Buffer.from('ff', 'hex'), 'lower')).toBe('zw');
    expect(encodeCrockford(Buffer.alloc(32, 0xff), 'lower')).toBe(`${'z'.repeat(51)}g`);
  });

  it('reads back what it wrote, in 8n/5 characters', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), anyCase, (bytes, letterCase) => {
        const text = encodeCrockford(bytes, letterCase);
        expect(text).toHaveLength(crockfordLength(bytes.length));
        expect(decodeCrockford(text, bytes.length, letterCase)).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it('knows one spelling only', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9A-Za-z_ -]{4}$/), (text) => {
        const bytes = decodeCrockford(text, 2, 'upper');
        if (bytes !== undefined) expect(encodeCrockford(bytes, 'upper')).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['a set fill bit', 'ZZZZ'],
    ['the other case', 'zzz0'],
    ['too short', 'ZZ0'],
    ['too long', 'ZZZ00'],
    ['U', 'UZZ0'],
  ])('refuses %s', (_case, text) => {
    expect(decodeCrockford(text, 2, 'upper')).toBeUndefined();
  });

  it('reads typed text back from any spacing, dashes and case', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[0-9A-HJKMNP-TV-Z]{0,12}$/),
        fc.string({ unit: fc.constantFrom(' ', '\t', '\r', '\n', '-') }),
        (text, blanks) => {
          const typed = Array.from(text.toLowerCase()).join(blanks);
          expect(readTypedCrockford(typed)).toBe(text);
        },
      ),
    );
  });

  it('reads O as 0, I and L as 1, and refuses U', () => {
    expect(readTypedCrockford('oO iI lL')).toBe('001111');
    expect(readTypedCrockford('0U')).toBeUndefined();
  });
});
