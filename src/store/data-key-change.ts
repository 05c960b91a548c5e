/** `palyra store rekey --data`: seals all records under a new data key while the service serves. */
import type { DataKeys } from '../database/data-keys.js';
import type { KeyChangeBy } from '../database/store-keyring.js';
import type { RecordFinding } from '../secret-store/record-verification.js';
import { nextTurn } from '../secret-store/record-verification.js';
import type { SealedRow } from '../secret-store/sql-sealed-records.js';

/** Records of one unit of work: everybody else waits behind it, for some milliseconds. */
const UNIT = 32;
const PAGE = 256;

/** How far a change is. */
export interface DataKeyProgress {
  readonly done: number;
  /** As counted at its beginning. */
  readonly total: number;
}

export interface DataKeyResult {
  /** Records that this run sealed anew; one that went on after a restart finds the others done. */
  readonly resealed: number;
  /** Records that do not open. As long as there are any, the old data key stays. */
  readonly findings: readonly RecordFinding[];
  readonly finished: boolean;
}

/** Told what happens when nobody asks: at start, or when the caller has gone. */
export interface DataKeyObserver {
  started(isResumed: boolean): void;
  ended(result: DataKeyResult): void;
  failed(error: unknown): void;
}

/** Whoever goes on with a change that a restart has cut off. */
const RESUMED_BY: KeyChangeBy = { actor: 'system', source: 'local', reason: '' };

/**
 * One change at a time; who asks while one runs is shown that one. It goes on when the caller has gone. What is done is in
 * the records themselves, each of which names its data key; so a change that was cut off goes on from there.
 */
export class DataKeyChange {
  #run: Run | undefined;

  constructor(
    private readonly keys: DataKeys,
    private readonly observer: DataKeyObserver,
  ) {}

  /** Goes on with a change that was cut off; without one, does nothing. Nest calls this before the doors open. */
  onModuleInit(): void {
    if (this.keys.isChanging) this.#begin(RESUMED_BY, true);
  }

  /** Adds a data key, unless a change is under way, and seals everything under it. Rejects when no key can be added. */
  async start(by: KeyChangeBy): Promise<Run> {
    if (this.#run?.isOver === false) return this.#run;
    const isResumed = this.keys.isChanging;
    await this.keys.add(by);
    // Another caller may have been quicker.
    return this.#current() ?? this.#begin(by, isResumed);
  }

  /** Ends after the unit of work that runs; the next start goes on. Nest calls this after the doors have closed. */
  async onModuleDestroy(): Promise<void> {
    await this.#run?.stop();
  }

  #current(): Run | undefined {
    return this.#run?.isOver === false ? this.#run : undefined;
  }

  #begin(by: KeyChangeBy, isResumed: boolean): Run {
    this.observer.started(isResumed);
    const run = new Run(this.keys, by);
    this.#run = run;
    run.result.then(
      (result) => {
        this.observer.ended(result);
      },
      (error: unknown) => {
        this.observer.failed(error);
      },
    );
    return run;
  }
}

/** One run through all records. */
export class Run {
  readonly result: Promise<DataKeyResult>;
  readonly #findings = new Map<string, RecordFinding>();
  #isOver = false;
  #stopped = false;
  #total: number | undefined;
  #resealed = 0;
  #seen = 0;
  #waiting: (() => void)[] = [];

  constructor(
    private readonly keys: DataKeys,
    private readonly by: KeyChangeBy,
  ) {
    this.result = this.#runAll().finally(() => {
      this.#isOver = true;
      this.#tell();
    });
  }

  /** Resolves at the next change of {@link progress}, or at the end. */
  changed(): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** `undefined` as long as the records have not been counted. */
  get progress(): DataKeyProgress | undefined {
    const total = this.#total;
    return total === undefined ? undefined : { done: Math.min(this.#seen, total), total };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    // Its failure is told by the observer.
    await this.result.catch(() => undefined);
  }

  async #runAll(): Promise<DataKeyResult> {
    this.#total = await this.keys.records.count();
    this.#tell();
    // Everything is sealed under the new key by now, so that a pass that finds nothing else leaves nothing behind.
    let resealed: number;
    do {
      this.#seen = 0;
      this.#findings.clear();
      resealed = await this.#pass();
      this.#resealed += resealed;
    } while (resealed > 0 && !this.#stopped);
    const findings = [...this.#findings.values()];
    const finished = !this.#stopped && findings.length === 0;
    if (finished) await this.keys.dropOld(this.by, { records: this.#resealed });
    return { resealed: this.#resealed, findings, finished };
  }

  #tell(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Goes through all records once, and says how many it sealed anew. */
  async #pass(): Promise<number> {
    let resealed = 0;
    let after: string | undefined = '';
    while (after !== undefined && !this.#stopped) {
      const page: SealedRow[] = await this.keys.records.page(after, PAGE);
      resealed += await this.#resealPage(page);
      const last = page.at(-1)?.name;
      after = page.length === PAGE && typeof last === 'string' ? last : undefined;
      await nextTurn();
    }
    return resealed;
  }

  async #resealPage(page: readonly SealedRow[]): Promise<number> {
    const old = page.filter((row) => !this.keys.isCurrent(row));
    this.#seen += page.length - old.length;
    let resealed = 0;
    for (let start = 0; start < old.length && !this.#stopped; start += UNIT) {
      const unit = old.slice(start, start + UNIT);
      const done = await this.keys.reseal(unit);
      for (const finding of done.findings) this.#findings.set(finding.record, finding);
      resealed += done.resealed;
      this.#seen += unit.length;
      this.#tell();
    }
    return resealed;
  }
}
