import { performance } from 'node:perf_hooks';
import type { Database } from 'better-sqlite3';
import type { DataSource } from 'typeorm';
import type { ChainEnd, RecordedEvent } from '../audit/audit-chain.js';
import { chainEndAfter, chainEntry, recordEvent } from '../audit/audit-chain.js';
import { DomainError } from '../errors/domain-error.js';
import type { RecordSealer } from '../secret-store/record-sealer.js';
import { SqlSecretStore } from '../secret-store/sql-secret-store.js';
import type { Clock } from '../time/clock.js';
import { CommitFeed } from './commit-feed.js';
import { guardedManager, refuseTransactionControl } from './guarded-manager.js';
import { SqliteStatements } from './sqlite-statements.js';
import { storeClosed } from './storage-error.js';
import type { StorageHealth } from './storage-health.js';
import { runInScope, UNIT_TIME_LIMIT_MS, UnitScope } from './unit-scope.js';
import type { StoreTime, Unit, UnitOfWork } from './unit-of-work.js';

/** Units that share one commit, at most: those behind them wait for it. */
const LARGEST_BATCH = 64;
/** How long units wait at most for others to share their commit with, milliseconds: about as long as a commit takes. */
const GATHERING_MS = 2;

export interface SqliteUnitOfWorkParts {
  readonly dataSource: DataSource;
  /** The connection under `dataSource`. */
  readonly connection: Database;
  readonly sealer: RecordSealer;
  readonly clock: Clock;
  /** Learns of every failure of storage. */
  readonly health: StorageHealth;
  readonly epoch: number;
  /** Where the audit chain ends in the database. */
  readonly chainEnd: ChainEnd;
  /** How long one unit may hold the queue, milliseconds. */
  readonly unitTimeLimitMs?: number;
}

interface Job {
  /** Runs the caller's work and keeps its value until the commit. */
  readonly run: (unit: Unit) => Promise<void>;
  readonly acknowledge: () => void;
  readonly refuse: (error: unknown) => void;
}

/**
 * Units of work on SQLite. There is one connection that writes, so units run one after another; those that wait share one
 * transaction, one `fsync`, each in a savepoint of its own. Nobody is answered before the commit.
 *
 * SQLITE_FULL, SQLITE_IOERR and SQLITE_NOMEM may roll the whole transaction back without being asked, and what is written
 * after that would be committed by itself. So before each query and after each failure the connection is asked whether
 * the transaction is still there; if it is not, the whole batch is refused.
 */
export class SqliteUnitOfWork implements UnitOfWork {
  readonly commits = new CommitFeed();
  readonly #statements: SqliteStatements;
  readonly #timeLimitMs: number;
  readonly #queue: Job[] = [];
  #draining: Promise<void> | undefined;
  #lastBatch = 1;
  #closed = false;
  /** Where the chain ends with what is committed, and with what the running batch adds. */
  #committed: ChainEnd;
  #pending: ChainEnd;
  /** Why SQLite gave up the running batch. */
  #loss: DomainError | undefined;

  constructor(private readonly parts: SqliteUnitOfWorkParts) {
    this.#statements = new SqliteStatements(parts.connection);
    this.#timeLimitMs = parts.unitTimeLimitMs ?? UNIT_TIME_LIMIT_MS;
    this.#committed = parts.chainEnd;
    this.#pending = parts.chainEnd;
  }

  run<T>(work: (unit: Unit) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closed) {
        reject(storeClosed());
        return;
      }
      this.#queue.push(jobOf(work, resolve, reject));
      this.#draining ??= this.#drain();
    });
  }

  /** Epoch and audit sequence of the last commit. */
  storeTime(): StoreTime {
    return { epoch: this.parts.epoch, sequence: this.#committed.sequence };
  }

  /** The highest time of any committed audit entry, Unix milliseconds. */
  highestTimeMs(): number {
    return this.#committed.highestTimeMs;
  }

  /** Refuses new units; resolves when those that wait are done. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#draining;
  }

  async #drain(): Promise<void> {
    // Later in this turn of the event loop others may come to share the commit; between batches, sockets get their turn.
    await nextTurn();
    while (this.#queue.length > 0) {
      await this.#gather();
      const batch = this.#queue.splice(0, LARGEST_BATCH);
      this.#lastBatch = batch.length;
      await this.#runBatch(batch);
      await nextTurn();
    }
    this.#draining = undefined;
  }

  /**
   * Waits until there are as many units as in the batch before: callers that were answered together ask again within a
   * moment, and one commit for all of them costs as much as one for the first few. Who is alone does not wait.
   */
  async #gather(): Promise<void> {
    const end = performance.now() + GATHERING_MS;
    while (this.#queue.length < this.#lastBatch && !this.#closed && performance.now() < end)
      await oneMillisecond();
  }

  async #runBatch(jobs: readonly Job[]): Promise<void> {
    const answers: (() => void)[] = [];
    let started = 0;
    this.#loss = undefined;
    try {
      this.#statements.begin.run();
      for (const job of jobs) {
        started += 1;
        answers.push(await this.#runJob(job));
      }
      this.#commit();
    } catch (error) {
      // Without a transaction to begin with, the rest of the batch would fare no better.
      this.#giveUp(error, started === 0 ? jobs : jobs.slice(0, started));
      if (started > 0) this.#queue.unshift(...jobs.slice(started));
      return;
    }
    for (const answer of answers) answer();
    this.commits.announce(this.#committed.sequence);
  }

  /**
   * Runs one unit in its savepoint, and undoes it if it fails. Returns how to answer its caller once the batch is
   * committed: not before, since it may have seen what other units of the batch wrote. Throws when the batch is lost.
   */
  async #runJob(job: Job): Promise<() => void> {
    const chainEnd = this.#pending;
    this.#statements.savepoint.run();
    try {
      const events: RecordedEvent[] = [];
      const scope = new UnitScope();
      const unit = this.#unit(scope, events);
      await runInScope(scope, () => job.run(unit), this.#timeLimitMs);
      this.#requireTransaction();
      this.#append(events);
      this.#statements.release.run();
      return job.acknowledge;
    } catch (error) {
      this.#requireTransaction(error);
      this.#pending = chainEnd;
      this.#statements.rollbackToSavepoint.run();
      this.#statements.release.run();
      return () => {
        job.refuse(this.parts.health.storageError(error) ?? error);
      };
    }
  }

  #unit(scope: UnitScope, events: RecordedEvent[]): Unit {
    const tables = guardedManager(this.parts.dataSource, (sql, run) => {
      refuseTransactionControl(sql);
      return scope.operation(() => this.#query(run));
    });
    return {
      tables,
      secrets: new SqlSecretStore(tables, this.parts.sealer),
      audit: {
        append(event) {
          scope.requireOpen();
          events.push(recordEvent(event));
        },
      },
    };
  }

  async #query(run: () => Promise<unknown>): Promise<unknown> {
    this.#requireTransaction();
    try {
      return await run();
    } catch (error) {
      this.#requireTransaction(error);
      throw this.parts.health.storageError(error) ?? error;
    }
  }

  /** Throws, and remembers why, if SQLite has rolled the transaction back. */
  #requireTransaction(cause?: unknown): void {
    if (this.parts.connection.inTransaction) return;
    this.#loss ??= this.parts.health.storageError(cause) ?? lostBatch(cause);
    throw this.#loss;
  }

  #append(events: readonly RecordedEvent[]): void {
    for (const event of events) {
      const entry = chainEntry(this.#pending, this.parts.epoch, this.parts.clock.now(), event);
      this.#statements.insertEntry(entry);
      this.#pending = chainEndAfter(this.#pending, entry);
    }
  }

  #commit(): void {
    if (this.#pending.sequence !== this.#committed.sequence) this.#statements.updateHead(this.#pending);
    this.#statements.commit.run();
    this.#committed = this.#pending;
  }

  /** Nothing of the batch is stored, and nobody in it was told otherwise. */
  #giveUp(error: unknown, jobs: readonly Job[]): void {
    this.#rollBack();
    this.#pending = this.#committed;
    const refusal = this.#loss ?? this.parts.health.storageError(error) ?? lostBatch(error);
    for (const job of jobs) job.refuse(refusal);
  }

  #rollBack(): void {
    try {
      if (this.parts.connection.inTransaction) this.#statements.rollback.run();
    } catch {
      // Nothing is left to undo it with: the next BEGIN fails, and so will every unit, until the process starts anew.
    }
  }
}

function jobOf<T>(
  work: (unit: Unit) => Promise<T>,
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
): Job {
  let acknowledge = (): void => undefined;
  return {
    async run(unit) {
      const value = await work(unit);
      acknowledge = () => {
        resolve(value);
      };
    },
    acknowledge: () => {
      acknowledge();
    },
    refuse: reject,
  };
}

function lostBatch(cause: unknown): DomainError {
  return new DomainError(
    'unavailable',
    'STORE_ROLLED_BACK',
    'The database undid this change and all that shared its commit: nothing was stored, try again.',
    { cause },
  );
}

const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

const oneMillisecond = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, 1);
  });
