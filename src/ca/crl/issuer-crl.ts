import type { CommittedReader, UnitOfWork } from '../../database/unit-of-work.js';
import type { Clock } from '../../time/clock.js';
import type { Issuer } from '../issuer.js';
import { BACKDATE_MS } from '../template.js';
import { checkedEntries, signCrl } from './crl-signing.js';
import { lastRevocation, nextCrlNumber, revocationsOf } from './revocations.js';

export interface CrlParts {
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
  readonly clock: Clock;
  /** From issue to nextUpdate, milliseconds. */
  readonly lifetimeMs: number;
  /** Throws when nothing may be signed now. */
  readonly requireSigning: () => void;
  /** Told when a list that still holds could not be replaced by a newer one. */
  readonly onFailure: (error: unknown) => void;
}

/** A list as it is served. */
export interface PublishedCrl {
  readonly der: Buffer;
  readonly number: number;
  /** Unix milliseconds, whole seconds. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
}

interface Held extends PublishedCrl {
  /** Everything up to this revocation is listed. */
  readonly through: number;
  /** What is listed, encoded. */
  readonly entries: Buffer;
  /** When all entries were last read from the store; by both clocks. */
  readonly readAt: number;
  readonly readMonotonic: number;
}

/** A list is made anew four times in its life, so that the last one is far from its end when the service is away. */
const LISTS_PER_LIFE = 4;
/** After a failure it is not tried again for so long, milliseconds: whoever asks could make it work and fail at will. */
const RETRY_AFTER_MS = 10_000;

/**
 * The revocation list of one CA key. It is signed when something was revoked since, and in time before it ends; never
 * because somebody asks. Asking costs one look-up in an index.
 */
export class IssuerCrl {
  #held: Held | undefined;
  #building: Promise<Held> | undefined;
  #retryAt = -Infinity;
  #failure: { readonly error: unknown; readonly until: number } | undefined;

  constructor(
    private readonly issuer: Issuer,
    private readonly parts: CrlParts,
  ) {}

  /** The newest list that was made; `undefined` before the first. */
  get latest(): PublishedCrl | undefined {
    return this.#held;
  }

  /**
   * The list with everything that was revoked before the call. Throws what the store throws, what stands against signing
   * when the last list lacks a revocation, `internal` CRL_CHECK and `exhausted` CRL_TOO_LARGE.
   */
  async current(): Promise<PublishedCrl> {
    const last = await lastRevocation(this.parts.committed, this.issuer.keyId);
    const held = this.#held;
    if (held === undefined || held.through < last) return this.#covering(last);
    return this.#isDue(held) ? this.#refreshed(held) : held;
  }

  async #covering(last: number): Promise<Held> {
    let held;
    // One that was begun before the revocation may not list it; the next one does.
    do held = await this.#build();
    while (held.through < last);
    return held;
  }

  /** A newer one, or the one that still holds. */
  async #refreshed(held: Held): Promise<Held> {
    const { clock, onFailure } = this.parts;
    if (clock.monotonic() < this.#retryAt) return held;
    try {
      return await this.#build();
    } catch (error) {
      this.#retryAt = clock.monotonic() + RETRY_AFTER_MS;
      onFailure(error);
      return held;
    }
  }

  /** By either clock: one may have been set back, the other stands still while a machine sleeps. */
  #isDue({ readAt, readMonotonic }: Held): boolean {
    const { clock, lifetimeMs } = this.parts;
    const age = Math.max(clock.now() - readAt, clock.monotonic() - readMonotonic);
    return age >= lifetimeMs / LISTS_PER_LIFE;
  }

  /** Those who ask at the same time share the work. */
  #build(): Promise<Held> {
    this.#building ??= this.#signUnlessFailed().finally(() => {
      this.#building = undefined;
    });
    return this.#building;
  }

  /** What stands against signing costs nothing to ask; what was tried and failed is told again for a while. */
  async #signUnlessFailed(): Promise<Held> {
    const { clock, requireSigning } = this.parts;
    requireSigning();
    if (this.#failure !== undefined && clock.monotonic() < this.#failure.until) throw this.#failure.error;
    try {
      return await this.#sign();
    } catch (error) {
      this.#failure = { error, until: clock.monotonic() + RETRY_AFTER_MS };
      throw error;
    }
  }

  /** 1. number and end, in one unit  2. what is listed  3. sign and check  4. let it out */
  async #sign(): Promise<Held> {
    const { unitOfWork, clock, lifetimeMs } = this.parts;
    const { keyId } = this.issuer;
    const now = clock.now();
    const monotonic = clock.monotonic();
    const { number, through } = await unitOfWork.run(async (unit) => ({
      number: await nextCrlNumber(unit, keyId, now),
      // With the number: a list with a higher one never says less.
      through: await lastRevocation(unit, keyId),
    }));
    const { entries, ...read } = await this.#entries(through, now, monotonic);
    const seconds = (time: number): number => Math.floor(time / 1000) * 1000;
    const update = { number, thisUpdate: seconds(now - BACKDATE_MS), nextUpdate: seconds(now + lifetimeMs) };
    const der = await signCrl(this.issuer, update, entries);
    this.#held = { der, ...update, through, entries, ...read };
    return this.#held;
  }

  /** Adds what is new; now and then all is read anew, without what has expired. */
  async #entries(
    through: number,
    now: number,
    monotonic: number,
  ): Promise<Pick<Held, 'entries' | 'readAt' | 'readMonotonic'>> {
    const held = this.#held;
    if (held !== undefined && !this.#isDue(held)) {
      const { readAt, readMonotonic } = held;
      const added = await this.#read(held.through, through, now);
      return { entries: Buffer.concat([held.entries, ...added]), readAt, readMonotonic };
    }
    // RFC 5280 §3.3: an entry stays until a list was issued after the certificate's end.
    const expiringFrom = now - this.parts.lifetimeMs / LISTS_PER_LIFE;
    const entries = Buffer.concat(await this.#read(0, through, expiringFrom));
    return { entries, readAt: now, readMonotonic: monotonic };
  }

  async #read(after: number, through: number, expiringFrom: number): Promise<Buffer[]> {
    const range = { issuerKeyId: this.issuer.keyId, after, through, expiringFrom };
    const chunks: Buffer[] = [];
    for await (const entries of revocationsOf(this.parts.committed, range))
      chunks.push(checkedEntries(entries));
    return chunks;
  }
}
