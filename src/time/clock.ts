/** Where time comes from. Two readings, because only one of them may be stepped by an operator or NTP. */
export interface Clock {
  /** Wall-clock time, Unix milliseconds; what certificates and records carry. */
  now(): number;
  /** Milliseconds from an arbitrary origin that never go back; what limits and timers use. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

/** A clock that stands still until it is told otherwise; for tests. */
export class ManualClock implements Clock {
  #monotonic = 0;

  constructor(private wall: number) {}

  now(): number {
    return this.wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  advance(milliseconds: number): void {
    this.wall += milliseconds;
    this.#monotonic += milliseconds;
  }
}
