import type { CommitListener } from '../database/commit-feed.js';
import type { CommittedReader, UnitOfWork } from '../database/unit-of-work.js';
import { wrongState } from '../errors/domain-error.js';
import { type OperatorCaller, actorOf } from '../operators/caller.js';
import type { HeldWork, Hold } from '../service-holds/service-holds.js';
import type { Clock } from './clock.js';
import { readHighestTime, writeHighestTime } from './clock-record.js';
import {
  clockDoubt,
  type ClockDoubt,
  type ClockReading,
  MAX_BEHIND_MS,
  nextReference,
} from './clock-rule.js';

/** The sealed record may be behind the highest time by so much, milliseconds: it is not written at each commit. */
const RECORD_LAG_MS = 60_000;
/** How often the clock is looked at when nobody asks, milliseconds. */
const LOOK_EVERY_MS = 10_000;

/** Pairing too: how long a code lives is by this clock. */
const STOPS: readonly HeldWork[] = ['pairing', 'issuance', 'server_certificates', 'rotation', 'pruning'];

export interface ClockWatchParts {
  readonly clock: Clock;
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
  /** See `Store`. */
  readonly onCommit: (listener: CommitListener) => () => void;
  /** What a store without a record of the clock takes for the highest time, Unix milliseconds. */
  readonly highestTimeMs: () => number;
  /** Told when the clock is doubted, and when it is believed again. */
  readonly onChange?: (doubt: ClockDoubt | undefined) => void;
  /** Told when the highest time could not be written; it is tried again at the next commit. */
  readonly onFailure?: (error: unknown) => void;
}

export interface ClockState {
  /** What the clock says, Unix milliseconds. */
  readonly nowMs: number;
  /** The highest time that was audited while it was believed, Unix milliseconds. */
  readonly highestMs: number;
  readonly doubt: ClockDoubt | undefined;
}

/**
 * Watches over the wall clock (DESIGN §3, "Clock"). Whoever asks gets the answer of this very moment, so a clock that was
 * set a millisecond ago issues nothing.
 *
 * A restart has no monotonic clock to hold the time against: a jump ahead that happens while the process is off is not
 * seen, and what is audited then becomes the highest time.
 */
export class ClockWatch {
  #reference: ClockReading;
  #recordedMs: number;
  #doubted = false;
  #recording: Promise<void> | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #endCommits: () => void;

  private constructor(
    private readonly parts: ClockWatchParts,
    private highestMs: number,
    recordedMs: number,
  ) {
    this.#reference = this.#read();
    this.#recordedMs = recordedMs;
    this.#endCommits = parts.onCommit(() => {
      this.#committed();
    });
    this.#timer = setInterval(() => this.state(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  /** Begins to watch before anything is issued. Throws `corrupt` when the record of the clock is damaged. */
  static async start(parts: ClockWatchParts): Promise<ClockWatch> {
    const recorded = await readHighestTime(parts.committed.secrets);
    const watch = new ClockWatch(parts, recorded ?? parts.highestTimeMs(), recorded ?? 0);
    watch.state();
    return watch;
  }

  /** Ends the watch; what was audited last is recorded. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#endCommits();
    await this.#recording;
    if (this.highestMs > this.#recordedMs) await this.#record();
  }

  /** What the clock says and whether it is believed. */
  state(): ClockState {
    const now = this.#read();
    const doubt = clockDoubt(now, this.#reference, this.highestMs);
    if (doubt === undefined) this.#reference = nextReference(now, this.#reference);
    if (this.#doubted !== (doubt !== undefined)) {
      this.#doubted = doubt !== undefined;
      this.parts.onChange?.(doubt);
    }
    return { nowMs: now.wallMs, highestMs: this.highestMs, doubt };
  }

  /** What a clock that is not believed stops. */
  hold(): Hold | undefined {
    const { doubt } = this.state();
    return doubt === undefined ? undefined : holdOf(doubt);
  }

  /**
   * An admin says that the clock is right as it is: from here on it is believed, durably. Writes nothing when it is
   * believed already. Throws `wrong_state`, CLOCK_DIFFERS, when the admin's own clock says something else.
   */
  async confirm(
    caller: OperatorCaller,
    reason: string,
    adminsTimeMs: number | undefined,
  ): Promise<ClockState> {
    const { doubt, highestMs } = this.state();
    const now = this.#read();
    if (adminsTimeMs !== undefined && Math.abs(adminsTimeMs - now.wallMs) > MAX_BEHIND_MS)
      throw differs(now.wallMs);
    if (doubt === undefined) return this.state();
    await this.#recording;
    await this.parts.unitOfWork.run(async (unit) => {
      await writeHighestTime(unit.secrets, now.wallMs);
      unit.audit.append({
        actor: actorOf(caller),
        source: caller.source,
        action: 'clock.confirmed',
        subject: 'clock',
        reason,
        details: { doubt: doubt.kind, by_ms: doubt.byMs, clock_ms: now.wallMs, highest_ms: highestMs },
      });
    });
    this.#reference = now;
    this.highestMs = now.wallMs;
    this.#recordedMs = now.wallMs;
    return this.state();
  }

  #read(): ClockReading {
    return { wallMs: this.parts.clock.now(), monotonicMs: this.parts.clock.monotonic() };
  }

  /** What is audited by a clock that is not believed does not count: else a clock that comes back would be behind it. */
  #committed(): void {
    const { nowMs, doubt } = this.state();
    if (doubt !== undefined) return;
    this.highestMs = Math.max(this.highestMs, nowMs);
    if (this.highestMs - this.#recordedMs < RECORD_LAG_MS || this.#recording !== undefined) return;
    this.#recording = this.#record()
      .catch((error: unknown) => this.parts.onFailure?.(error))
      .finally(() => {
        this.#recording = undefined;
      });
  }

  async #record(): Promise<void> {
    const { highestMs } = this;
    await this.parts.unitOfWork.run((unit) => writeHighestTime(unit.secrets, highestMs));
    this.#recordedMs = highestMs;
  }
}

function holdOf({ kind, byMs }: ClockDoubt): Hold {
  const minutes = Math.ceil(Math.abs(byMs) / 60_000);
  const mend = 'set it right, or run `palyra clock confirm` if it is right';
  return kind === 'behind'
    ? {
        reason: 'CLOCK_BEHIND',
        stops: STOPS,
        message: `the clock of the service is ${minutes} min behind what it has audited; ${mend}`,
      }
    : {
        reason: 'CLOCK_JUMPED',
        stops: STOPS,
        message: `the clock of the service jumped ${byMs < 0 ? 'back' : 'ahead'} by ${minutes} min; ${mend}`,
      };
}

function differs(nowMs: number): Error {
  return wrongState(
    'CLOCK_DIFFERS',
    `the clock of the service says ${new Date(nowMs).toISOString()}, and yours is more than 5 min away from that; set right whichever is wrong`,
  );
}
