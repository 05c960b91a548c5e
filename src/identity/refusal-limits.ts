import { DomainError } from '../errors/domain-error.js';
import { sourceOf } from '../network/network-address.js';
import type { Clock } from '../time/clock.js';

const WINDOW_MS = 60_000;
/** Sources that are remembered at once; a flood from more of them is bounded by the door's connections alone. */
const MAX_SOURCES = 16_384;

/**
 * Bounds how often one source may be refused in a minute. What succeeds costs nothing, so a fleet behind one address may
 * renew all at once, and there is no bound for all sources together, which strangers could fill to shut devices out.
 * In memory and synchronous.
 */
export class RefusalLimits {
  readonly #refusals = new Map<string, number>();
  #windowStart: number;

  constructor(
    private readonly perMinute: number,
    private readonly clock: Clock,
  ) {
    this.#windowStart = clock.monotonic();
  }

  /** Throws `exhausted` TOO_MANY_REFUSALS when the source has been refused too often in this minute. */
  require(address: string): void {
    this.#beginWindow();
    if ((this.#refusals.get(sourceOf(address)) ?? 0) < this.perMinute) return;
    const retryAfterMs = this.#windowStart + WINDOW_MS - this.clock.monotonic();
    throw new DomainError(
      'exhausted',
      'TOO_MANY_REFUSALS',
      'too many requests from this address were refused; try again later',
      { retryAfterMs },
    );
  }

  refused(address: string): void {
    this.#beginWindow();
    const source = sourceOf(address);
    const count = this.#refusals.get(source);
    if (count === undefined && this.#refusals.size >= MAX_SOURCES) return;
    this.#refusals.set(source, (count ?? 0) + 1);
  }

  #beginWindow(): void {
    const now = this.clock.monotonic();
    if (now - this.#windowStart < WINDOW_MS) return;
    this.#windowStart = now;
    this.#refusals.clear();
  }
}
