import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { printable, printableJson } from './printable-text.js';

const isControl = (code: number): boolean =>
  code < 0x20 ||
  (code >= 0x7f && code < 0xa0) ||
  [0x2028, 0x2029].includes(code) ||
  (code >= 0x202a && code <= 0x202e) ||
  (code >= 0x2066 && code <= 0x2069);

const controls = (text: string): string[] => text.split('').filter((unit) => isControl(unit.charCodeAt(0)));

describe('printable text', () => {
  it.each([
    ['an escape sequence', '\u001b[2J\u001b[1;1Happroved', '\\u{1b}[2J\\u{1b}[1;1Happroved'],
    ['a new line', 'linux\nSTATE approved', 'linux\\u{a}STATE approved'],
    ['a carriage return', 'bad\rgood', 'bad\\u{d}good'],
    ['an 8-bit CSI', '\u009b31m', '\\u{9b}31m'],
    ['a bidirectional override', 'abc\u202ecba', 'abc\\u{202e}cba'],
    ['a zero-width space', 'pal\u200byra', 'pal\\u{200b}yra'],
    ['a line separator', 'a\u2028b', 'a\\u{2028}b'],
    ['a tag character outside the BMP', 'a\u{e0041}', 'a\\u{e0041}'],
    ['a lone surrogate', 'a\ud800', 'a\\u{d800}'],
  ])('escapes %s', (_what, text, expected) => {
    expect(printable(text)).toBe(expected);
  });

  it('leaves what people write as it is', () => {
    const text = 'Küche 7 – ラズパイ (linux-arm64) 🦊';
    expect(printable(text)).toBe(text);
  });

  it('never lets a control character through, and printing twice changes nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const safe = printable(text);
        expect(controls(safe)).toEqual([]);
        expect(printable(safe)).toBe(safe);
      }),
    );
  });

  it('writes JSON on one line that reads as the same value', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = printableJson({ text });
        expect(controls(json)).toEqual([]);
        expect(JSON.parse(json)).toEqual({ text });
      }),
    );
  });
});
