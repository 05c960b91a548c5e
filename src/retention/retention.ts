import type { ServiceHolds } from '../service-holds/service-holds.js';
import type { Clock } from '../time/clock.js';
import type { Pruner } from './pruner.js';

export interface RetentionParts {
  readonly clock: Clock;
  readonly holds: ServiceHolds;
  readonly pruners: readonly Pruner[];
  /** How often it runs by itself, milliseconds. */
  readonly everyMs: number;
  /** Told of a round that failed; the next one tries again. */
  readonly onFailure: (error: unknown) => void;
}

/** One kind of records: how many went, or would go, and how long they are kept. */
export interface PruneResult {
  readonly what: string;
  readonly count: number;
  readonly keptForMs: number;
}

/**
 * Removes what has served its time, by itself: at start and then every so often, one round at a time. Nothing is removed
 * while something holds that up, a clock that is not believed for example.
 */
export class Retention {
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<unknown> = Promise.resolve();
  #ending = false;

  constructor(private readonly parts: RetentionParts) {}

  /** Nest calls this once all doors are about to open; it does not wait for the round. */
  onApplicationBootstrap(): void {
    this.inBackground();
    this.#timer = setInterval(() => {
      this.inBackground();
    }, this.parts.everyMs);
    this.#timer.unref();
  }

  /** A round under way ends after its unit of work, and is waited for. */
  async onModuleDestroy(): Promise<void> {
    this.#ending = true;
    clearInterval(this.#timer);
    await this.#round;
  }

  /** What would go now; changes nothing. */
  async plan(): Promise<PruneResult[]> {
    return this.each((pruner, now) => pruner.due(now));
  }

  /** A round now, behind one that is under way. Throws the reason of a hold. */
  async run(): Promise<PruneResult[]> {
    const round = this.#round.then(() => {
      this.parts.holds.require('pruning', 'wrong_state');
      return this.each((pruner, now) => pruner.prune(now, () => this.mayGoOn()));
    });
    this.#round = round.catch(() => undefined);
    return round;
  }

  private inBackground(): void {
    if (!this.mayGoOn()) return;
    this.run().catch(this.parts.onFailure);
  }

  private mayGoOn(): boolean {
    return !this.#ending && this.parts.holds.stopping('pruning') === undefined;
  }

  private async each(count: (pruner: Pruner, now: number) => Promise<number>): Promise<PruneResult[]> {
    const results: PruneResult[] = [];
    for (const pruner of this.parts.pruners) {
      const { what, keptForMs } = pruner;
      results.push({ what, keptForMs, count: await count(pruner, this.parts.clock.now()) });
    }
    return results;
  }
}
