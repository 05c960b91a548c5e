import type { StoreTime } from '../database/unit-of-work.js';

export type StoreTimeChange = 'rose' | 'same' | 'fell';

const DECIMAL = /^(?:0|[1-9][0-9]{0,15})$/;

/** Reads a number as the metadata `palyra-epoch` and `palyra-sequence` carry it: decimal, no sign, no leading zero, at most 2^53 − 1. */
export function parseStoreNumber(text: string): number | undefined {
  if (!DECIMAL.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Compares as (epoch, sequence). */
export function compareStoreTime(known: StoreTime, seen: StoreTime): StoreTimeChange {
  if (seen.epoch !== known.epoch) return seen.epoch > known.epoch ? 'rose' : 'fell';
  if (seen.sequence === known.sequence) return 'same';
  return seen.sequence > known.sequence ? 'rose' : 'fell';
}

/** The later of two. */
export function laterStoreTime(one: StoreTime, other: StoreTime): StoreTime {
  const { epoch, sequence } = compareStoreTime(one, other) === 'rose' ? other : one;
  return { epoch, sequence };
}

/**
 * Remembers the highest store time seen and tells of one that fell. Answers to concurrent calls may overtake each other,
 * so an answer is held against what was known when its call began.
 */
export class StoreTimeWatch {
  #highest: StoreTime | undefined;

  /** @param known What an earlier watch has seen. */
  constructor(
    private readonly onFall: (known: StoreTime, seen: StoreTime) => void,
    known?: StoreTime,
  ) {
    this.#highest = known;
  }

  get highest(): StoreTime | undefined {
    return this.#highest;
  }

  /** Call when a call begins; the function it returns takes the store time of its answer. */
  begin(): (seen: StoreTime) => void {
    const known = this.#highest;
    return (seen) => {
      this.#see(known, seen);
    };
  }

  #see(known: StoreTime | undefined, seen: StoreTime): void {
    if (known !== undefined && compareStoreTime(known, seen) === 'fell') this.onFall(known, seen);
    if (this.#highest === undefined || compareStoreTime(this.#highest, seen) === 'rose') this.#highest = seen;
  }
}
