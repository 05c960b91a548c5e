import { scryptSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { DEFAULT_SCRYPT_COST, deriveMasterKey, requireScryptBounds } from './passphrase.js';

const salt = Buffer.alloc(32, 3);
const least = { salt, n: 2 ** 15, r: 8, p: 1 };

describe('deriveMasterKey', () => {
  it('is scrypt (RFC 7914) with the parameters of the store, 32 bytes', async () => {
    const passphrase = Buffer.from('correct horse battery');
    const expected = scryptSync(passphrase, salt, 32, { N: 2 ** 15, r: 8, p: 1, maxmem: 2 ** 26 });
    expect(await deriveMasterKey(passphrase, least)).toEqual(expected);
  });
});

describe('requireScryptBounds', () => {
  it.each([least, { salt, ...DEFAULT_SCRYPT_COST }, { salt, n: 2 ** 20, r: 8, p: 4 }])(
    'takes %j',
    (parameters) => {
      expect(() => {
        requireScryptBounds(parameters);
      }).not.toThrow();
    },
  );

  it.each([
    { ...least, n: 2 ** 14 },
    { ...least, n: 2 ** 21 },
    { ...least, n: 40_000 },
    { ...least, n: Number.NaN },
    { ...least, r: 1 },
    { ...least, r: 16 },
    { ...least, p: 0 },
    { ...least, p: 5 },
    { ...least, p: 1.5 },
    { ...least, salt: salt.subarray(1) },
  ])('refuses %j', (parameters) => {
    expect(() => {
      requireScryptBounds(parameters);
    }).toThrow(expect.objectContaining({ kind: 'corrupt', reason: 'STORE_SCRYPT_COST' }));
  });
});
