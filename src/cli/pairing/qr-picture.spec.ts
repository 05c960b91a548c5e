import { inflateSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import decodeQR from 'qr/decode.js';
import { qrLines, qrPng, qrSvg } from './qr-picture.js';

const LINK = `palyra://pair?v=2&endpoint=palyra.example.org:7443&code=K7QM48AB&secret=${'A'.repeat(21)}Q&ca=${'b'.repeat(42)}M`;

/** What a camera reads; `dark` says it of each pixel. */
function read(size: number, dark: (x: number, y: number) => boolean): string {
  const data = new Uint8Array(size * size * 4).fill(255);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) if (dark(x, y)) data.fill(0, (y * size + x) * 4, (y * size + x) * 4 + 3);
  }
  return decodeQR({ width: size, height: size, data });
}

describe('a drawn link', () => {
  it('is read from the terminal', () => {
    const lines = qrLines(LINK);
    const width = lines[0]!.length;
    const light = (x: number, y: number): boolean => {
      const character = lines[Math.floor(y / 2)]?.[x] ?? '█';
      return character === '█' || character === (y % 2 === 0 ? '▀' : '▄');
    };
    expect(lines.join('')).toMatch(/^[ ▀▄█]+$/);
    expect(read(width * 4, (x, y) => !light(x >> 2, y >> 2))).toBe(LINK);
  });

  it('is read from the PNG', () => {
    const png = qrPng(LINK);
    const size = png.readUInt32BE(16);
    expect(png.readUInt32BE(20)).toBe(size);
    expect(png.subarray(12, 16).toString()).toBe('IHDR');
    const length = png.readUInt32BE(33);
    expect(png.subarray(37, 41).toString()).toBe('IDAT');
    const bytes = inflateSync(png.subarray(41, 41 + length));
    const stride = size / 8 + 1;
    expect(bytes).toHaveLength(stride * size);
    const dark = (x: number, y: number): boolean =>
      (bytes[y * stride + 1 + (x >> 3)]! & (0x80 >> (x & 7))) === 0;
    expect(read(size, dark)).toBe(LINK);
  });

  it('is read from the SVG', () => {
    const svg = qrSvg(LINK);
    const size = Number(/viewBox="0 0 (\d+) /.exec(svg)?.[1]);
    const dark = new Set<string>();
    const runs = [...(/fill="#000" d="([^"]*)"/.exec(svg)?.[1] ?? '').matchAll(/M(\d+) (\d+)h(\d+)v1h-\3z/g)];
    for (const [, x, y, length] of runs) {
      for (let i = 0; i < Number(length); i++) dark.add(`${Number(x) + i},${y}`);
    }
    expect(read(size * 4, (x, y) => dark.has(`${x >> 2},${y >> 2}`))).toBe(LINK);
  });
});
