import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type { StoreTime } from '../database/unit-of-work.js';
import { compareStoreTime, parseStoreNumber, StoreTimeWatch } from './store-time.js';

interface StoreTimeVectors {
  readonly compared: readonly { known: [number, number]; seen: [number, number]; result: string }[];
  readonly accepted_numbers: readonly string[];
  readonly refused_numbers: readonly string[];
}

const vectors = (
  JSON.parse(readFileSync('test/vectors/audit.json', 'utf8')) as { store_times: StoreTimeVectors }
).store_times;

const storeTime = ([epoch, sequence]: [number, number]): StoreTime => ({ epoch, sequence });

describe('store time', () => {
  it.each(vectors.compared)('$known then $seen: $result', ({ known, seen, result }) => {
    expect(compareStoreTime(storeTime(known), storeTime(seen))).toBe(result);
  });

  it.each(vectors.accepted_numbers.map((text) => ({ text })))('reads "$text"', ({ text }) => {
    expect(parseStoreNumber(text)).toBe(Number(text));
  });

  it.each(vectors.refused_numbers.map((text) => ({ text })))('refuses "$text"', ({ text }) => {
    expect(parseStoreNumber(text)).toBeUndefined();
  });

  it('tells of a fall each time and keeps the highest', () => {
    const falls: [StoreTime, StoreTime][] = [];
    const watch = new StoreTimeWatch((known, seen) => falls.push([known, seen]));
    watch.begin()({ epoch: 10, sequence: 5 });
    watch.begin()({ epoch: 10, sequence: 7 });
    watch.begin()({ epoch: 10, sequence: 6 });
    watch.begin()({ epoch: 9, sequence: 99 });
    expect(falls).toEqual([
      [
        { epoch: 10, sequence: 7 },
        { epoch: 10, sequence: 6 },
      ],
      [
        { epoch: 10, sequence: 7 },
        { epoch: 9, sequence: 99 },
      ],
    ]);
    expect(watch.highest).toEqual({ epoch: 10, sequence: 7 });
  });

  it('does not take answers that overtook each other for a fall', () => {
    const falls: unknown[] = [];
    const watch = new StoreTimeWatch((known, seen) => falls.push([known, seen]));
    const slow = watch.begin();
    const fast = watch.begin();
    fast({ epoch: 10, sequence: 6 });
    slow({ epoch: 10, sequence: 5 });
    expect(falls).toEqual([]);
    expect(watch.highest).toEqual({ epoch: 10, sequence: 6 });
  });
});
