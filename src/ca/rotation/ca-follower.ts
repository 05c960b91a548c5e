/** The change log, as far as a follower needs it. */
export interface ChangeLog {
  /** Number of the last committed entry. */
  sequence(): number;
  /** Whether an entry behind `after` is about the CA. */
  hasCaChange(after: number): Promise<boolean>;
  /** Calls back after commits; returns how to end that. */
  onCommit(listener: () => void): () => void;
}

export interface CaFollowerParts {
  readonly log: ChangeLog;
  /** Takes over what changed. */
  readonly refresh: () => Promise<unknown>;
  /** Forgets roots whose grace is over. */
  readonly forgetRetired: () => Promise<unknown>;
  /** Both are tried again at the next occasion. */
  readonly onFailure: (error: unknown) => void;
  readonly followAfterMs?: number;
  readonly forgetEveryMs?: number;
}

/** How old a change of another replica may become before it is seen, apart from the time that seeing it takes. */
const FOLLOW_AFTER_MS = 250;
const FORGET_EVERY_MS = 60_000;

/**
 * Follows the change log, so that a change of the CA takes effect in every process on the store, whichever made it; and
 * forgets retired roots in time.
 */
export class CaFollower {
  #seen: number;
  #isDue = false;
  #follow: NodeJS.Timeout | undefined;
  #forget: NodeJS.Timeout | undefined;
  #endListening: () => void = () => undefined;
  #round: Promise<void> = Promise.resolve();

  /** Everything up to now is known: the CA was loaded from the store just before. */
  constructor(private readonly parts: CaFollowerParts) {
    this.#seen = parts.log.sequence();
  }

  start(): void {
    this.#endListening = this.parts.log.onCommit(() => {
      this.#followSoon();
    });
    const { forgetEveryMs = FORGET_EVERY_MS } = this.parts;
    this.#forget = setInterval(() => {
      this.#queue(this.parts.forgetRetired);
    }, forgetEveryMs);
    this.#forget.unref();
    this.#queue(this.parts.forgetRetired);
  }

  /** Waits for what is under way. */
  async stop(): Promise<void> {
    this.#endListening();
    clearTimeout(this.#follow);
    clearInterval(this.#forget);
    await this.#round;
  }

  #followSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#follow = setTimeout(() => {
      this.#isDue = false;
      this.#queue(() => this.#followNow());
    }, this.parts.followAfterMs ?? FOLLOW_AFTER_MS);
    this.#follow.unref();
  }

  async #followNow(): Promise<void> {
    const { log, refresh } = this.parts;
    const upTo = log.sequence();
    if (await log.hasCaChange(this.#seen)) await refresh();
    this.#seen = upTo;
  }

  #queue(work: () => Promise<unknown>): void {
    this.#round = this.#round.then(async () => {
      try {
        await work();
      } catch (error) {
        this.parts.onFailure(error);
      }
    });
  }
}
