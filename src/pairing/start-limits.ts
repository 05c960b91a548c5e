import { DomainError } from '../errors/domain-error.js';
import { sourceOf } from '../network/network-address.js';
import type { Clock } from '../time/clock.js';

export interface PairingLimits {
  /** Handshakes that one address (IPv6: one /64) may begin in a minute. */
  readonly startsPerMinutePerAddress: number;
  /** Handshakes that all may begin in a minute. */
  readonly startsPerMinute: number;
  /** Handshakes in progress. */
  readonly handshakes: number;
}

const MINUTE_MS = 60_000;

interface Bucket {
  tokens: number;
  filledAt: number;
}

/**
 * Bounds what strangers can make this process do: token buckets by address and in all, and a count of handshakes in
 * progress. In memory and synchronous, so that no two callers can race for the same slot.
 */
export class StartLimits {
  readonly #byAddress = new Map<string, Bucket>();
  readonly #total: Bucket;
  #inProgress = 0;

  constructor(
    private readonly limits: PairingLimits,
    private readonly clock: Clock,
  ) {
    this.#total = { tokens: limits.startsPerMinute, filledAt: clock.monotonic() };
  }

  get inProgress(): number {
    return this.#inProgress;
  }

  /**
   * Takes a slot for one handshake; the returned function gives it back and may be called more than once. Throws
   * `exhausted` with the time after which to try again.
   */
  begin(address: string): () => void {
    if (this.#inProgress >= this.limits.handshakes) throw exhausted('TOO_MANY_HANDSHAKES', 1_000);
    const now = this.clock.monotonic();
    const { startsPerMinute, startsPerMinutePerAddress } = this.limits;
    // The total first: a new address is remembered only for a start it was granted, so the map stays bounded.
    refill(this.#total, startsPerMinute, now);
    if (this.#total.tokens < 1) throw exhausted('TOO_MANY_STARTS', waitFor(this.#total, startsPerMinute));
    const mine = this.bucketOf(sourceOf(address), now);
    refill(mine, startsPerMinutePerAddress, now);
    if (mine.tokens < 1) throw exhausted('TOO_MANY_STARTS', waitFor(mine, startsPerMinutePerAddress));
    mine.tokens -= 1;
    this.#total.tokens -= 1;
    return this.takeSlot();
  }

  private takeSlot(): () => void {
    this.#inProgress += 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#inProgress -= 1;
    };
  }

  private bucketOf(group: string, now: number): Bucket {
    const known = this.#byAddress.get(group);
    if (known !== undefined) return known;
    this.forgetFull(now);
    const bucket = { tokens: this.limits.startsPerMinutePerAddress, filledAt: now };
    this.#byAddress.set(group, bucket);
    return bucket;
  }

  /** A bucket that has filled up again says nothing; dropping those keeps the map as small as a minute's callers. */
  private forgetFull(now: number): void {
    if (this.#byAddress.size < this.limits.startsPerMinute) return;
    for (const [group, bucket] of this.#byAddress) {
      if (now - bucket.filledAt >= MINUTE_MS) this.#byAddress.delete(group);
    }
  }
}

function refill(bucket: Bucket, perMinute: number, now: number): void {
  const gained = ((now - bucket.filledAt) / MINUTE_MS) * perMinute;
  bucket.tokens = Math.min(perMinute, bucket.tokens + gained);
  bucket.filledAt = now;
}

function waitFor(bucket: Bucket, perMinute: number): number {
  return Math.max(1, Math.ceil(((1 - bucket.tokens) / perMinute) * MINUTE_MS));
}

function exhausted(reason: string, retryAfterMs: number): DomainError {
  return new DomainError('exhausted', reason, 'too many pairings are being started; try again later', {
    retryAfterMs,
  });
}
