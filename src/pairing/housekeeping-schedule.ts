import { HOUSEKEEPING_INTERVAL_MS, type PairingHousekeeping } from './housekeeping.js';

/** Runs the housekeeping at start and then every minute, one round at a time; a failed round is told and tried again. */
export class HousekeepingSchedule {
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();

  constructor(
    private readonly housekeeping: PairingHousekeeping,
    private readonly onFailure: (error: unknown) => void,
    private readonly intervalMs = HOUSEKEEPING_INTERVAL_MS,
  ) {}

  /** Nest calls this before the doors open. */
  async onModuleInit(): Promise<void> {
    await this.housekeeping.run();
    this.#timer = setInterval(() => {
      this.#round = this.#round.then(() => this.housekeeping.run()).catch(this.onFailure);
    }, this.intervalMs);
    this.#timer.unref();
  }

  /** Nest calls this after the doors have closed; a round under way is waited for. */
  async onModuleDestroy(): Promise<void> {
    clearInterval(this.#timer);
    await this.#round;
  }
}
