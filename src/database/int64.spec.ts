import { describe, expect, it } from '@jest/globals';
import { LessThan } from 'typeorm';
import { int64 } from './int64.js';

const outOfRange = expect.objectContaining({ kind: 'corrupt', reason: 'INTEGER_OUT_OF_RANGE' });

describe('int64', () => {
  it.each([0, -1, 2 ** 53 - 1, 1_780_000_000_123])(
    'takes %d both ways, and from PostgreSQL as text',
    (value) => {
      expect(int64.to(value)).toBe(value);
      expect(int64.from(value)).toBe(value);
      expect(int64.from(String(value))).toBe(value);
      expect(int64.from(BigInt(value))).toBe(value);
    },
  );

  it.each([2 ** 53, -(2 ** 53), 1.5, Number.NaN, '9007199254740993', 9007199254740993n, 'x', '', '1e3'])(
    'refuses %s',
    (value) => {
      expect(() => int64.to(value) as unknown).toThrow(outOfRange);
      expect(() => int64.from(value) as unknown).toThrow(outOfRange);
    },
  );

  it('lets absent values and operators through', () => {
    expect(int64.from(null)).toBeNull();
    expect(int64.to(undefined)).toBeUndefined();
    const operator = LessThan(5);
    expect(int64.to(operator)).toBe(operator);
  });
});
