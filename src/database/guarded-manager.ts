import { EntityManager } from 'typeorm';
import type { DataSource, QueryRunner } from 'typeorm';
import { DomainError } from '../errors/domain-error.js';

/** Runs one query, or refuses it. */
export type QueryGuard = (sql: string, run: () => Promise<unknown>) => Promise<unknown>;

/**
 * An `EntityManager` whose every query, also those of repositories and query builders made from it, passes through
 * `guard`. It believes to be inside a transaction that it did not start, so a `transaction` on it makes a savepoint.
 *
 * It stands on the driver's one query runner, in whose `query` all that TypeORM does ends; what it changes on itself, the
 * transaction's depth for example, does not reach that one.
 */
export function guardedManager(dataSource: DataSource, guard: QueryGuard): EntityManager {
  const runner = dataSource.createQueryRunner();
  const query = async (sql: string, parameters?: unknown[], structured?: boolean): Promise<unknown> =>
    guard(sql, () =>
      structured === true ? runner.query(sql, parameters, true) : runner.query(sql, parameters),
    );
  const guarded = Object.create(runner) as QueryRunner;
  Object.assign(guarded, { query, isTransactionActive: true, transactionDepth: 1 });
  return new EntityManager(dataSource, guarded);
}

const ENDS_A_TRANSACTION = /^\s*(?:BEGIN|COMMIT|END|ROLLBACK(?!\s+TO\b))\b/i;
const TRANSACTION = /^\s*(?:BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE)\b/i;

/** Units share a transaction that none of them may end; savepoints are theirs to make. Throws `TRANSACTION_CONTROL`. */
export function refuseTransactionControl(sql: string): void {
  if (!ENDS_A_TRANSACTION.test(sql)) return;
  throw new DomainError(
    'internal',
    'TRANSACTION_CONTROL',
    'A unit of work begins and ends its transaction by itself: throw to undo it, return to commit it.',
  );
}

/** A transaction would pin what all readers of a connection see. Throws `TRANSACTION_CONTROL`. */
export function refuseTransaction(sql: string): void {
  if (!TRANSACTION.test(sql)) return;
  throw new DomainError(
    'internal',
    'TRANSACTION_CONTROL',
    'Reads of committed state need no transaction: leave it out.',
  );
}
