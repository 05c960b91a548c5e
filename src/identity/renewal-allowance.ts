import { DomainError } from '../errors/domain-error.js';
import type { Clock } from '../time/clock.js';

const HOUR_MS = 3_600_000;
/** New certificates that a device is given in the life of one, whatever the setting: those that live for seconds are renewed often. */
const PER_LIFETIME = 4;

/** What a device has had, and has not been forgiven yet. */
interface Debt {
  certificates: number;
  /** Monotonic milliseconds. */
  at: number;
}

/**
 * Bounds how many new certificates one device may have in an hour: each is a row, a sealed record and an entry of the
 * audit log, and a device that has gone bad could fill the disk with them. A leaky bucket for each device that the
 * registry knows; answers that are given again cost nothing. In memory and synchronous.
 */
export class RenewalAllowance {
  readonly #debts = new Map<string, Debt>();
  readonly #perHour: number;
  #sweptAt: number;

  /** `certificateLifetimeMs` raises the allowance for certificates that live shorter than a few renewals take. */
  constructor(
    perHour: number,
    certificateLifetimeMs: number,
    private readonly clock: Clock,
  ) {
    this.#perHour = Math.max(perHour, Math.ceil((PER_LIFETIME * HOUR_MS) / certificateLifetimeMs));
    this.#sweptAt = clock.monotonic();
  }

  /** Throws `exhausted` TOO_MANY_RENEWALS when the device has had its share. */
  require(deviceId: string): void {
    const excess = this.#owed(this.#debts.get(deviceId)) + 1 - this.#perHour;
    if (excess <= 0) return;
    throw new DomainError(
      'exhausted',
      'TOO_MANY_RENEWALS',
      'this device was given too many new certificates in an hour; try again later, and find out why it asks so often',
      { retryAfterMs: Math.ceil((excess * HOUR_MS) / this.#perHour) },
    );
  }

  /** A new certificate was given to the device. */
  spend(deviceId: string): void {
    this.#sweep();
    const certificates = this.#owed(this.#debts.get(deviceId)) + 1;
    this.#debts.set(deviceId, { certificates, at: this.clock.monotonic() });
  }

  #owed(debt: Debt | undefined): number {
    if (debt === undefined) return 0;
    const forgiven = ((this.clock.monotonic() - debt.at) * this.#perHour) / HOUR_MS;
    return Math.max(0, debt.certificates - forgiven);
  }

  #sweep(): void {
    if (this.clock.monotonic() - this.#sweptAt < HOUR_MS) return;
    this.#sweptAt = this.clock.monotonic();
    for (const [deviceId, debt] of this.#debts) if (this.#owed(debt) === 0) this.#debts.delete(deviceId);
  }
}
