import type { EntityManager } from 'typeorm';
import type { AuditWriter } from '../audit/audit-entry.js';
import type { SecretReader, SecretStore } from '../secret-store/secret-store.js';

/** What one unit of work may write. It is handed on explicitly and must not be used after its end. */
export interface Unit {
  readonly secrets: SecretStore;
  readonly tables: EntityManager;
  readonly audit: AuditWriter;
}

/**
 * Where a change is made: all of it is committed and durable when `run` resolves, or none of it when it rejects.
 *
 * Nothing but the database is awaited inside `work`: other units wait behind it. A `run` inside a `run` is an error.
 * Rejects with what `work` threw, or with a `DomainError` of kind `unavailable` (store full, read-only, locked).
 */
export interface UnitOfWork {
  run<T>(work: (unit: Unit) => Promise<T>): Promise<T>;
}

/** Committed state only: never sees what a unit has written and not committed. */
export interface CommittedReader {
  readonly secrets: SecretReader;
  readonly tables: EntityManager;
}

/**
 * The place in its history at which a store answered: it travels with each operator answer and bundle. When it falls,
 * somebody put an old store back, and what came later, revocations among it, is undone (DESIGN §4).
 */
export interface StoreTime {
  /** Unix milliseconds when the store was made or restored. */
  readonly epoch: number;
  /** Number of the last audit entry. */
  readonly sequence: number;
}
