import { performance } from 'node:perf_hooks';
import type { Clock } from '../../src/time/clock.js';

/** The machine's clocks, with a wall clock that somebody sets. */
export class SteppedClock implements Clock {
  stepMs = 0;

  now(): number {
    return Date.now() + this.stepMs;
  }

  monotonic(): number {
    return performance.now();
  }
}
