import type { DataSource, EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';

/**
 * Statements of hot paths, for whole rows and single columns, on any database that TypeORM knows. Their text is made once
 * for each database and has all values as parameters.
 *
 * What TypeORM makes for `insert`, `upsert` and `find` is made anew each time, which costs more than the statement itself.
 * On SQLite it also holds numbers as text: a statement with a time in it is never met twice, has to be compiled by SQLite,
 * and drives one that is needed again out of the driver's cache.
 */

/** All columns of a row but those named in `Given`. */
type Fields<Row, Given = never> = Readonly<Omit<Row, Given & keyof Row>>;

/** One column of the rows that have a text in another one. */
export class ColumnLookUp<Row extends ObjectLiteral> {
  readonly #text = new PerDatabase((database) => {
    const metadata = database.getMetadata(this.entity);
    const name = (property: string): string =>
      database.driver.escape(columnOf(metadata, property).databaseName);
    const parameter = database.driver.createParameter('value', 0);
    return (
      `SELECT ${name(this.wanted)} AS "found" FROM ${database.driver.escape(metadata.tableName)} ` +
      `WHERE ${name(this.given)} = ${parameter}`
    );
  });

  /** Columns without transformer: what the driver gives is what they hold. */
  constructor(
    private readonly entity: new () => Row,
    private readonly given: keyof Row & string,
    private readonly wanted: keyof Row & string,
  ) {}

  async find<T>(tables: EntityManager, value: string): Promise<T[]> {
    const rows = await tables.query<{ found: T }[]>(this.#text.of(tables), [value]);
    return rows.map(({ found }) => found);
  }
}

/** New rows of a table whose key the database gives out. */
export class RowInsert<Row extends ObjectLiteral, Key extends keyof Row & string> {
  readonly #plan = new PerDatabase((database) => {
    const metadata = database.getMetadata(this.entity);
    const columns = metadata.columns.filter(({ propertyName }) => propertyName !== this.key);
    const key = database.driver.escape(columnOf(metadata, this.key).databaseName);
    return { columns, text: `${insertText(database, metadata, columns)} RETURNING ${key} AS "given"` };
  });

  constructor(
    private readonly entity: new () => Row,
    private readonly key: Key,
  ) {}

  /** Returns the key as the driver has it. Throws what the driver throws, a `QueryFailedError`, when the row is refused. */
  async run(tables: EntityManager, row: Fields<Row, Key>): Promise<Row[Key]> {
    const { columns, text } = this.#plan.of(tables);
    const [inserted] = await tables.query<{ given: Row[Key] }[]>(text, valuesOf(tables, columns, row));
    if (inserted === undefined) throw new Error('the database returned no key for a row');
    return inserted.given;
  }
}

/** A row in place of the one with its key, or as a new one. */
export class RowUpsert<Row extends ObjectLiteral> {
  readonly #plan = new PerDatabase((database) => {
    const metadata = database.getMetadata(this.entity);
    const { columns } = metadata;
    const name = ({ databaseName }: ColumnMetadata): string => database.driver.escape(databaseName);
    const changes = columns
      .filter(({ propertyName }) => propertyName !== this.key)
      .map((column) => `${name(column)} = EXCLUDED.${name(column)}`);
    const insert = insertText(database, metadata, columns);
    const conflict = name(columnOf(metadata, this.key));
    return { columns, text: `${insert} ON CONFLICT (${conflict}) DO UPDATE SET ${changes.join(', ')}` };
  });

  constructor(
    private readonly entity: new () => Row,
    private readonly key: keyof Row & string,
  ) {}

  async run(tables: EntityManager, row: Fields<Row>): Promise<void> {
    const { columns, text } = this.#plan.of(tables);
    await tables.query(text, valuesOf(tables, columns, row));
  }
}

function insertText(
  database: DataSource,
  metadata: EntityMetadata,
  columns: readonly ColumnMetadata[],
): string {
  const { driver } = database;
  const names = columns.map(({ databaseName }) => driver.escape(databaseName));
  const parameters = columns.map(({ propertyName }, index) => driver.createParameter(propertyName, index));
  return `INSERT INTO ${driver.escape(metadata.tableName)} (${names.join(', ')}) VALUES (${parameters.join(', ')})`;
}

function valuesOf(tables: EntityManager, columns: readonly ColumnMetadata[], row: ObjectLiteral): unknown[] {
  const { driver } = tables.dataSource;
  return columns.map((column): unknown => driver.preparePersistentValue(row[column.propertyName], column));
}

function columnOf(metadata: EntityMetadata, property: string): ColumnMetadata {
  const column = metadata.findColumnWithPropertyName(property);
  if (column === undefined) throw new Error(`${metadata.name} has no column ${property}`);
  return column;
}

/** What is made once for each database; there are several in one process: the writer's, the reader's, those of tests. */
class PerDatabase<T> {
  readonly #made = new WeakMap<DataSource, T>();

  constructor(private readonly make: (database: DataSource) => T) {}

  of({ dataSource }: EntityManager): T {
    let made = this.#made.get(dataSource);
    if (made === undefined) {
      made = this.make(dataSource);
      this.#made.set(dataSource, made);
    }
    return made;
  }
}
