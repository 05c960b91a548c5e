import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeBase64Url, encodeBase64Url } from './base64url.js';

describe('base64url', () => {
  it('reads back what it wrote', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(decodeBase64Url(encodeBase64Url(bytes), bytes.length)).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it.each([
    ['padding', '_w=='],
    ['unused bits', '_x'],
    ['the other alphabet', '/w'],
    ['a blank', '_w '],
    ['another length', '__8'],
    ['nothing', ''],
  ])('refuses %s', (_case, text) => {
    expect(decodeBase64Url('_w', 1)).toEqual(Buffer.from([0xff]));
    expect(decodeBase64Url(text, 1)).toBeUndefined();
  });
});
