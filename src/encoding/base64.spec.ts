import { describe, expect, it } from '@jest/globals';
import { fromBase64, toBase64 } from './base64.js';

describe('base64', () => {
  it.each([[''], ['00'], ['0001'], ['ff00ff'], ['fbff']])('gives %s back', (hex) => {
    const bytes = Buffer.from(hex, 'hex');
    expect(fromBase64(toBase64(bytes))).toEqual(bytes);
  });

  it.each([
    ['no padding', 'AA'],
    ['unused bits that are set', 'AB=='],
    ['base64url', '-_8='],
    ['a blank', 'AAA= '],
    ['a line end', 'AAAA\nAAAA'],
    ['something else', '!'],
  ])('refuses %s', (_name, text) => {
    expect(fromBase64(text)).toBeUndefined();
  });
});
