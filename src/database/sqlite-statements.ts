import type { Database, Statement } from 'better-sqlite3';
import type { ChainEnd } from '../audit/audit-chain.js';
import type { AuditEntry } from '../audit/audit-entry.js';

/** What a unit of work itself says to SQLite, prepared once. Synchronous, so nothing can come in between. */
export class SqliteStatements {
  readonly begin: Statement<[]>;
  readonly commit: Statement<[]>;
  readonly rollback: Statement<[]>;
  readonly savepoint: Statement<[]>;
  readonly release: Statement<[]>;
  readonly rollbackToSavepoint: Statement<[]>;
  readonly #insertEntry: Statement<[Record<string, unknown>]>;
  readonly #updateHead: Statement<[Record<string, unknown>]>;

  constructor(connection: Database) {
    // IMMEDIATE: a lock held by another program is found out here, and not in the middle of somebody's unit.
    this.begin = connection.prepare('BEGIN IMMEDIATE');
    this.commit = connection.prepare('COMMIT');
    this.rollback = connection.prepare('ROLLBACK');
    this.savepoint = connection.prepare('SAVEPOINT unit_of_work');
    this.release = connection.prepare('RELEASE unit_of_work');
    this.rollbackToSavepoint = connection.prepare('ROLLBACK TO unit_of_work');
    this.#insertEntry = connection.prepare(
      `INSERT INTO "audit_entry" ("sequence", "epoch", "time_ms", "actor", "source", "action", "subject", "reason",
         "details", "previous", "hash")
       VALUES (@sequence, @epoch, @timeMs, @actor, @source, @action, @subject, @reason, @details, @previous, @hash)`,
    );
    this.#updateHead = connection.prepare(
      `INSERT INTO "audit_head" ("id", "sequence", "hash", "highest_time_ms")
       VALUES (1, @sequence, @hash, @highestTimeMs)
       ON CONFLICT ("id") DO UPDATE SET "sequence" = excluded."sequence", "hash" = excluded."hash",
         "highest_time_ms" = excluded."highest_time_ms"`,
    );
  }

  insertEntry(entry: AuditEntry): void {
    this.#insertEntry.run({ ...entry });
  }

  updateHead(end: ChainEnd): void {
    this.#updateHead.run({ ...end });
  }
}
