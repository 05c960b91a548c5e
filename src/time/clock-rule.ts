/**
 * When the wall clock is not believed (DESIGN §3, "Clock"). Pure.
 *
 * A clock that was wrong for a moment must not issue certificates of another time, and must not remove what has only
 * seemingly expired.
 */

/** How far the clock may be behind the highest time ever audited, milliseconds. */
export const MAX_BEHIND_MS = 5 * 60_000;
/** How far the clock may move away from the monotonic clock, either way, milliseconds. */
export const MAX_JUMP_MS = 60 * 60_000;
/** How long a reading is what jumps are measured from, milliseconds of the monotonic clock. */
export const REFERENCE_LIFE_MS = 60 * 60_000;

/** Both clocks at one moment, milliseconds. */
export interface ClockReading {
  /** Since 1970. */
  readonly wallMs: number;
  /** Since any origin; never goes back. */
  readonly monotonicMs: number;
}

export interface ClockDoubt {
  /** `behind`: earlier than what was audited; `jumped`: another time has passed than the monotonic clock says. */
  readonly kind: 'behind' | 'jumped';
  /** How far, milliseconds; with `jumped` negative when it went back. */
  readonly byMs: number;
}

/**
 * Why the clock is not believed now; `undefined` when it is. `reference` is a reading that was believed, `highestMs` the
 * highest time that was audited while the clock was believed. It agrees again as soon as both hold again.
 */
export function clockDoubt(
  now: ClockReading,
  reference: ClockReading,
  highestMs: number,
): ClockDoubt | undefined {
  const jumpMs = now.wallMs - reference.wallMs - (now.monotonicMs - reference.monotonicMs);
  if (Math.abs(jumpMs) > MAX_JUMP_MS) return { kind: 'jumped', byMs: jumpMs };
  const behindMs = highestMs - now.wallMs;
  if (behindMs > MAX_BEHIND_MS) return { kind: 'behind', byMs: behindMs };
  return undefined;
}

/**
 * What later readings are held against: a believed reading takes the place of one that has served its time, so that small
 * corrections of months do not add up to a jump, and many small ones in a row still do.
 */
export function nextReference(believed: ClockReading, reference: ClockReading): ClockReading {
  return believed.monotonicMs - reference.monotonicMs >= REFERENCE_LIFE_MS ? believed : reference;
}
