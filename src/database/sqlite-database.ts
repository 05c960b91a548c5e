import type { Database } from 'better-sqlite3';
import { DataSource } from 'typeorm';
import type { EntityManager, MigrationInterface } from 'typeorm';
import { DomainError } from '../errors/domain-error.js';
import { guardedManager, refuseTransaction } from './guarded-manager.js';
import { requireTablesOnly } from './schema-check.js';
import { mapStorageErrors, storeClosed } from './storage-error.js';
import { StorageHealth } from './storage-health.js';

/** How long SQLite waits for a lock of another program, milliseconds. It waits on the event loop, so it is short. */
const LOCK_WAIT_MS = 200;
/** The WAL is cut back to this size, bytes, after a checkpoint. */
const WAL_SIZE_LIMIT = 64 * 1024 * 1024;
/**
 * The WAL goes into the database file each time it has this many pages, 16 MiB. What renewals write lands all over the
 * indexes, and a page that many commits have changed is copied once; SQLite's own 1000 pages would do it four times as often.
 */
const CHECKPOINT_PAGES = 4096;
/** Pages that the writer keeps in memory, KiB. SQLite's own 2 MiB are less than what a full batch of units may change. */
const WRITER_CACHE_KIB = 32 * 1024;

export interface DatabaseSchema {
  readonly entities: readonly (new () => object)[];
  readonly migrations: readonly (new () => MigrationInterface)[];
}

/** One SQLite file, opened twice: to write, and to read what is committed. */
export class SqliteDatabase {
  /** What was found out about the disk, by whichever connection. */
  readonly health = new StorageHealth();

  private constructor(
    /** The only connection that writes. Everything but `SqliteUnitOfWork` stays away from it once the store is open. */
    readonly writer: DataSource,
    /** The connection under `writer`. */
    readonly connection: Database,
    private readonly path: string,
    private readonly schema: DatabaseSchema,
  ) {}

  /** The file must be there already (it may be empty), so that its mode is known. Throws `STORE_DAMAGED` for one with triggers. */
  static async open(path: string, schema: DatabaseSchema): Promise<SqliteDatabase> {
    let connection: Database | undefined;
    const writer = new DataSource({
      type: 'better-sqlite3',
      database: path,
      fileMustExist: true,
      timeout: LOCK_WAIT_MS,
      entities: [...schema.entities],
      migrations: [...schema.migrations],
      prepareDatabase: (opened: Database) => {
        connection = opened;
        prepareWriter(opened);
      },
    });
    try {
      await mapStorageErrors(() => writer.initialize());
      if (connection !== undefined) requireTablesOnly(connection);
    } catch (error) {
      connection?.close();
      throw error;
    }
    if (connection === undefined) throw new Error('TypeORM opened no connection');
    return new SqliteDatabase(writer, connection, path, schema);
  }

  /** Brings the tables up to date. Throws `STORE_NEWER` for a store that a later version has changed. */
  async migrate(): Promise<void> {
    this.requireKnownMigrations();
    await mapStorageErrors(() => this.writer.runMigrations({ transaction: 'all' }));
  }

  /** What would have to be changed to make the tables what the entities say; empty after {@link migrate}. */
  async drift(): Promise<string[]> {
    const log = await this.writer.driver.createSchemaBuilder().log();
    return log.upQueries.map(({ query }) => query);
  }

  /** A second connection, which cannot write and never sees what is not committed. */
  async openReader(): Promise<CommittedTables> {
    const source = new DataSource({
      type: 'better-sqlite3',
      database: this.path,
      readonly: true,
      timeout: LOCK_WAIT_MS,
      entities: [...this.schema.entities],
    });
    await mapStorageErrors(() => source.initialize());
    return new CommittedTables(source, this.health);
  }

  async close(): Promise<void> {
    await this.writer.destroy();
  }

  private requireKnownMigrations(): void {
    const made = this.connection
      .prepare<[], { name: string }>(
        `SELECT "name" FROM sqlite_master WHERE "type" = 'table' AND "name" = 'migrations'`,
      )
      .all();
    if (made.length === 0) return;
    const applied = this.connection.prepare<[], { name: string }>('SELECT "name" FROM "migrations"').all();
    const known = new Set(this.schema.migrations.map((migration) => migration.name));
    const unknown = applied.find(({ name }) => !known.has(name));
    if (unknown === undefined) return;
    throw new DomainError(
      'wrong_state',
      'STORE_NEWER',
      `A later version of Palyra has changed this store (${unknown.name}): start that version.`,
    );
  }
}

/** The read-only connection. */
export class CommittedTables {
  readonly tables: EntityManager;
  #closed = false;

  constructor(
    private readonly source: DataSource,
    health: StorageHealth,
  ) {
    this.tables = guardedManager(source, async (sql, run) => {
      if (this.#closed) throw storeClosed();
      refuseTransaction(sql);
      try {
        return await run();
      } catch (error) {
        throw health.storageError(error) ?? error;
      }
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.source.destroy();
  }
}

/**
 * `synchronous` is a property of the connection, not of the file: in WAL mode it falls back to NORMAL at each opening, and
 * a power cut then takes the last acknowledged commits.
 */
function prepareWriter(connection: Database): void {
  connection.pragma('journal_mode = WAL');
  connection.pragma('synchronous = FULL');
  connection.pragma('foreign_keys = ON');
  connection.pragma('trusted_schema = OFF');
  connection.pragma(`journal_size_limit = ${WAL_SIZE_LIMIT}`);
  connection.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  connection.pragma(`cache_size = -${WRITER_CACHE_KIB}`);
}
