import { describe, expect, it } from '@jest/globals';
import { pooledRandomBytes } from './random-pool.js';

describe('pooledRandomBytes', () => {
  /** A source that counts: each pair of bytes is another number. */
  function counting(): { source: (size: number) => Buffer; draws: number[] } {
    const draws: number[] = [];
    let next = 0;
    const source = (size: number): Buffer => {
      draws.push(size);
      const bytes = Buffer.alloc(size);
      for (let at = 0; at + 2 <= size; at += 2) bytes.writeUInt16BE(next++ % 65_536, at);
      return bytes;
    };
    return { source, draws };
  }

  it('hands out each byte of its source once, in pieces of the size that is asked for', () => {
    const { source, draws } = counting();
    const random = pooledRandomBytes(source);
    const seen = new Set<string>();
    for (let draw = 0; draw < 1_000; draw += 1) {
      const bytes = random(16);
      expect(bytes).toHaveLength(16);
      seen.add(bytes.toString('hex'));
    }
    expect(seen.size).toBe(1_000);
    expect(draws.length).toBe(4);
  });

  it('does not split what it hands out over two draws, nor share memory with it', () => {
    const { source } = counting();
    const random = pooledRandomBytes(source);
    const first = random(4_090);
    const second = random(10);
    expect(second.readUInt16BE(0)).toBe(2_048);
    second.fill(0);
    first.fill(0);
    expect(random(2).readUInt16BE(0)).toBe(2_053);
  });

  it('asks its source for what is larger than the pool', () => {
    const { source, draws } = counting();
    expect(pooledRandomBytes(source)(5_000)).toHaveLength(5_000);
    expect(draws).toEqual([5_000]);
  });
});
