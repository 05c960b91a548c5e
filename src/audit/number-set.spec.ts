import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NumberSet } from './number-set.js';

describe('NumberSet', () => {
  it('is a set, whether its numbers stand close together or far apart', () => {
    const number = fc.oneof(fc.nat({ max: 3_000 }), fc.maxSafeNat());
    fc.assert(
      fc.property(fc.array(number), fc.array(number), (added, asked) => {
        const set = new NumberSet();
        for (const value of added) set.add(value);
        const known = new Set(added);
        for (const value of [...added, ...asked]) expect(set.has(value)).toBe(known.has(value));
      }),
    );
  });
});
