import { DomainError } from '../errors/domain-error.js';

/** Kinds of work that a hold may stop. */
export type HeldWork =
  /** Letting devices in over QUIC. */
  | 'admission'
  /** Pairing codes, handshakes and the collection of what was approved. */
  | 'pairing'
  /** Certificates for devices: approval, renewal, return. */
  | 'issuance'
  /** Certificates of our own doors. */
  | 'server_certificates'
  /** Steps of a rotation of the CA, and forgetting what they have left: none of it can be taken back. */
  | 'rotation'
  /** Removal of what is old enough. */
  | 'pruning';

/** A reason to stop some of the work until it is over. Operators can always log in, look and revoke. */
export interface Hold {
  /** UPPER_SNAKE word: the reason of the error that held calls get, and what readiness and status show. */
  readonly reason: string;
  readonly stops: readonly HeldWork[];
  /** What happened and what ends it, for those who are refused. Public, holds no secret. */
  readonly message: string;
}

/** Tells what stands in the way at the moment that it is asked, if anything does. Does not throw. */
export type HoldSource = () => Hold | undefined;

/** When a caller whose work is held may try again, milliseconds: somebody has to look into it first. */
const RETRY_AFTER_MS = 60_000;

/** Everything that holds this process up, in one place: the doors ask here, and so do readiness and status. */
export class ServiceHolds {
  readonly #holds = new Map<string, Hold>();
  readonly #sources: HoldSource[] = [];

  /** Takes the place of an earlier hold with the same reason. */
  raise(hold: Hold): void {
    this.#holds.set(hold.reason, hold);
  }

  /** Returns whether it was there. */
  lift(reason: string): boolean {
    return this.#holds.delete(reason);
  }

  /** Asks `source` from now on, each time that somebody asks here. */
  watch(source: HoldSource): void {
    this.#sources.push(source);
  }

  /** All holds: those that were raised, the oldest first, then those that hold at this moment. */
  get all(): readonly Hold[] {
    const live = this.#sources.map((source) => source()).filter((hold) => hold !== undefined);
    return [...this.#holds.values(), ...live];
  }

  /** What stops `work`, if anything does. */
  stopping(work: HeldWork): Hold | undefined {
    return this.all.find(({ stops }) => stops.includes(work));
  }

  /** Throws the reason of the hold that stops `work`: `unavailable` to devices, which try again by themselves. */
  require(work: HeldWork, kind: 'unavailable' | 'wrong_state' = 'unavailable'): void {
    const hold = this.stopping(work);
    if (hold === undefined) return;
    const retry = kind === 'unavailable' ? { retryAfterMs: RETRY_AFTER_MS } : {};
    throw new DomainError(kind, hold.reason, hold.message, retry);
  }

  /** For readiness: throws the reason of the oldest hold, whatever it stops. */
  requireNone(): void {
    const [hold] = this.all;
    if (hold !== undefined) throw new DomainError('unavailable', hold.reason, hold.message);
  }
}
