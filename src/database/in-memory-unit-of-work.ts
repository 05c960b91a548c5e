import type { EntityManager } from 'typeorm';
import type { ChainEnd, RecordedEvent } from '../audit/audit-chain.js';
import { chainEndAfter, chainEntry, EMPTY_CHAIN, recordEvent } from '../audit/audit-chain.js';
import type { AuditEntry } from '../audit/audit-entry.js';
import { InMemorySecretReader, InMemorySecretStore } from '../secret-store/in-memory-secret-store.js';
import type { Clock } from '../time/clock.js';
import { systemClock } from '../time/clock.js';
import { CommitFeed } from './commit-feed.js';
import { runInScope, UNIT_TIME_LIMIT_MS, UnitScope } from './unit-scope.js';
import type { CommittedReader, StoreTime, Unit, UnitOfWork } from './unit-of-work.js';

/**
 * Units of work in memory, one after another, each on a copy that is swapped in at its end. For tests of what needs
 * secrets and audit only, and for devices that keep nothing on disk. It has no tables: asking for them throws.
 */
export class InMemoryUnitOfWork implements UnitOfWork {
  readonly committed: CommittedReader = {
    secrets: new InMemorySecretReader(() => this.#records),
    get tables(): EntityManager {
      return noTables();
    },
  };
  readonly #commits = new CommitFeed();
  readonly #epoch: number;
  #records = new Map<string, Buffer>();
  #entries: AuditEntry[] = [];
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly clock: Clock = systemClock,
    private readonly unitTimeLimitMs = UNIT_TIME_LIMIT_MS,
  ) {
    this.#epoch = clock.now();
  }

  run<T>(work: (unit: Unit) => Promise<T>): Promise<T> {
    const result = this.#last.then(() => this.#runNext(work));
    this.#last = result.catch(() => undefined);
    return result;
  }

  storeTime(): StoreTime {
    return { epoch: this.#epoch, sequence: this.#entries.length };
  }

  onCommit(listener: (sequence: number) => void): () => void {
    return this.#commits.onCommit(listener);
  }

  /** The audit log so far. */
  entries(): readonly AuditEntry[] {
    return this.#entries;
  }

  async #runNext<T>(work: (unit: Unit) => Promise<T>): Promise<T> {
    const scope = new UnitScope();
    const records = new Map(this.#records);
    const events: RecordedEvent[] = [];
    const unit = unitOn(records, events, scope);
    const value = await runInScope(scope, () => work(unit), this.unitTimeLimitMs);
    this.#records = records;
    this.#entries = this.#entriesWith(events);
    this.#commits.announce(this.#entries.length);
    return value;
  }

  #entriesWith(events: readonly RecordedEvent[]): AuditEntry[] {
    const entries = [...this.#entries];
    let end = this.#chainEnd();
    for (const event of events) {
      const entry = chainEntry(end, this.#epoch, this.clock.now(), event);
      entries.push(entry);
      end = chainEndAfter(end, entry);
    }
    return entries;
  }

  #chainEnd(): ChainEnd {
    const last = this.#entries.at(-1);
    return last === undefined ? EMPTY_CHAIN : chainEndAfter(EMPTY_CHAIN, last);
  }
}

function unitOn(records: Map<string, Buffer>, events: RecordedEvent[], scope: UnitScope): Unit {
  return {
    secrets: new InMemorySecretStore(
      () => records,
      (operation) => scope.operation(operation),
    ),
    get tables(): EntityManager {
      return noTables();
    },
    audit: {
      append(event) {
        scope.requireOpen();
        events.push(recordEvent(event));
      },
    },
  };
}

function noTables(): never {
  throw new Error(
    'InMemoryUnitOfWork has no tables: open a temporary store (test/store/temporary-store.ts) instead',
  );
}
