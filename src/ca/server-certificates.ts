import type { Unit, UnitOfWork } from '../database/unit-of-work.js';
import { wrongState } from '../errors/domain-error.js';
import type { Clock } from '../time/clock.js';
import type { CertificateAuthority } from './certificate-authority.js';
import { recordIssued } from './certificate-index.js';
import { DEFAULT_CERT_VALIDITY } from './issued-certificate.js';
import { latestRenewalTime, renewalTime, type CertificateLife } from './renewal-time.js';
import {
  decodeServerCertificate,
  encodeServerCertificate,
  SERVER_DOORS,
  serverRecordName,
  stillFits,
  type ServerDoor,
} from './server-certificate-record.js';
import type { QuicRuntimeTlsMaterial } from './trust-bundle.js';

export interface ServerCertificatesOptions {
  readonly authority: CertificateAuthority;
  readonly unitOfWork: UnitOfWork;
  readonly clock: Clock;
  /** DNS names and IP addresses by which clients reach the doors. */
  readonly names: readonly string[];
  /** 24 h by default. */
  readonly lifetimeMs?: number;
  /** Whether nothing may be issued for a while: what is there is served on, although it is due. */
  readonly isHeldUp?: () => boolean;
  /** Jitter, in [0, 1); `Math.random` by default, since nothing depends on nobody guessing it. */
  readonly random?: () => number;
  /** How often the clocks are looked at, at most 30 s by default; also the pause after a renewal that failed. */
  readonly checkEveryMs?: number;
  /** Told of a renewal or a listener that failed; the old certificate is served on and renewal tried again. */
  readonly onError?: (door: ServerDoor, error: unknown) => void;
}

export type RenewalListener = (door: ServerDoor, material: QuicRuntimeTlsMaterial) => void;

interface Held {
  readonly fingerprint: string;
  readonly material: QuicRuntimeTlsMaterial;
  /** By the wall clock. */
  readonly dueAt: number;
  /** By the clock that nobody can set back. */
  readonly dueMonotonic: number;
}

/** A door's certificate as the store has it now. */
interface Stored {
  readonly fingerprint: string;
  readonly material: QuicRuntimeTlsMaterial;
  readonly life: CertificateLife;
}

const CHECK_EVERY_MS = 30_000;
/** Looks do not follow each other faster, however short the certificates' lives (near the end of a root). */
const LEAST_PAUSE_MS = 100;

/**
 * Keeps the certificates that this process serves: made at first start, used again after a restart as long as they fit,
 * renewed in time, the doors told so that they swap without a restart.
 */
export class ServerCertificates {
  readonly #held = new Map<ServerDoor, Held>();
  /** Doors whose chain and bundle, and perhaps certificate, are those of before the CA changed. */
  readonly #outdated = new Set<ServerDoor>();
  /** Doors for which the last try failed: the next comes after the full pause. */
  readonly #failed = new Set<ServerDoor>();
  readonly #listeners = new Set<RenewalListener>();
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #renewal: Promise<void> = Promise.resolve();

  constructor(private readonly options: ServerCertificatesOptions) {}

  /** Opens or makes the certificate of every door, then watches over them. Throws what the store or the CA throws. */
  async start(): Promise<void> {
    for (const door of SERVER_DOORS) await this.#replace(door);
    this.#running = true;
    this.#watch();
  }

  /** Ends the watch, and waits for a renewal that is under way. The certificates stay readable. */
  async stop(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#timer);
    await this.#renewal;
  }

  /** What a door serves with now. Throws `wrong_state` SERVER_CERTIFICATES before {@link start}. */
  material(door: ServerDoor): QuicRuntimeTlsMaterial {
    const held = this.#held.get(door);
    if (held) return held.material;
    throw wrongState(
      'SERVER_CERTIFICATES',
      `the certificate of the ${door} door is not there before the start`,
    );
  }

  /** Calls `listener` after each renewal; returns how to end that. */
  onRenewed(listener: RenewalListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Brings the doors up to date after the CA changed: another bundle and chain, and another certificate when another root
   * signs. Never rejects; what fails is tried again like a renewal, and served as before until then.
   */
  async refresh(): Promise<void> {
    for (const door of this.#held.keys()) this.#outdated.add(door);
    await this.renewDue();
    // The certificates are others now, and so may be the times at which they are due.
    if (this.#running) this.#watch();
  }

  /** Renews what is due, one after another; never rejects. The timer calls it, and whoever sees the clock jump may. */
  renewDue(): Promise<void> {
    this.#renewal = this.#renewal.then(() => this.#renewEachDue());
    return this.#renewal;
  }

  async #renewEachDue(): Promise<void> {
    for (const [door, held] of this.#held) {
      const isDue = this.#isDue(held);
      if ((!isDue && !this.#outdated.has(door)) || this.#isHeldUp()) continue;
      try {
        // A change of the CA while this runs makes it outdated once more.
        this.#outdated.delete(door);
        await this.#replace(door, !isDue);
        this.#failed.delete(door);
        this.#tell(door);
      } catch (error) {
        if (!isDue) this.#outdated.add(door);
        this.#failed.add(door);
        this.options.onError?.(door, error);
      }
    }
  }

  /** Due when either clock says so: one may have been set back, the other stands still while a machine sleeps. */
  #isDue({ dueAt, dueMonotonic }: Held): boolean {
    const { clock } = this.options;
    return clock.now() >= dueAt || clock.monotonic() >= dueMonotonic;
  }

  #isHeldUp(): boolean {
    return this.options.isHeldUp?.() ?? false;
  }

  /** `mayKeep`: the certificate that is held may go on, if it still fits. */
  async #replace(door: ServerDoor, mayKeep = false): Promise<void> {
    const stored = await this.options.unitOfWork.run(
      async (unit) => (await this.#fitting(unit, door, mayKeep)) ?? (await this.#issue(unit, door)),
    );
    this.#held.set(door, this.#hold(stored));
  }

  /** The stored certificate if it is fresh; after a renewal by another replica that is its certificate, not ours. */
  async #fitting(unit: Unit, door: ServerDoor, mayKeep: boolean): Promise<Stored | undefined> {
    const { authority, names, clock } = this.options;
    const record = await unit.secrets.read(serverRecordName(door));
    if (!record) return undefined;
    const stored = decodeServerCertificate(door, record);
    const { certificate, fingerprint, key, issuedAt, expiresAt } = stored;
    const life = { issuedAt, expiresAt };
    const now = clock.now();
    // A clock that is not believed says nothing about freshness.
    const isFresh = this.#isHeldUp() || (certificate.notBefore <= now && now < latestRenewalTime(life));
    const isHeld = !mayKeep && this.#held.get(door)?.fingerprint === fingerprint;
    if (isHeld || !isFresh || !stillFits(stored, authority, names)) return undefined;
    return { fingerprint, life, material: authority.serverMaterial(certificate.der, key, expiresAt) };
  }

  async #issue(unit: Unit, door: ServerDoor): Promise<Stored> {
    const { authority, names, lifetimeMs = DEFAULT_CERT_VALIDITY } = this.options;
    const { certificate, material } = await authority.issueControlPlaneCertificate({ names, lifetimeMs });
    const { der, fingerprint, issuedAt, expiresAt } = certificate;
    await unit.secrets.write(serverRecordName(door), encodeServerCertificate(der, material.key, issuedAt));
    const { serial, sequence } = await recordIssued(unit, certificate);
    unit.audit.append({
      actor: 'system',
      source: 'local',
      action: 'server_certificate.issued',
      subject: serverRecordName(door),
      details: { sequence, serial, fingerprint, expiresAt },
    });
    return { fingerprint, life: { issuedAt, expiresAt }, material };
  }

  #hold({ fingerprint, material, life }: Stored): Held {
    const { clock, random = Math.random } = this.options;
    const dueAt = renewalTime(life, random());
    return { fingerprint, material, dueAt, dueMonotonic: clock.monotonic() + dueAt - clock.now() };
  }

  #tell(door: ServerDoor): void {
    for (const listener of this.#listeners) {
      try {
        listener(door, this.material(door));
      } catch (error) {
        this.options.onError?.(door, error);
      }
    }
  }

  /** Looks often rather than once at the due time, since timers know nothing of a clock that was set. */
  #watch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      void this.renewDue().finally(() => {
        if (this.#running) this.#watch();
      });
    }, this.#untilNext());
    this.#timer.unref();
  }

  #untilNext(): number {
    const { clock, checkEveryMs = CHECK_EVERY_MS } = this.options;
    const now = clock.now();
    const pauses = [...this.#held].map(([door, { dueAt }]) =>
      this.#failed.has(door) ? checkEveryMs : dueAt - now,
    );
    return Math.min(checkEveryMs, Math.max(LEAST_PAUSE_MS, Math.min(...pauses)));
  }
}
