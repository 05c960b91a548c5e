import type { Database } from 'better-sqlite3';
import type { DomainError } from '../errors/domain-error.js';
import { storeDamaged } from './store-keys.js';

/** A table by its `CREATE` statement, as SQLite keeps it. */
interface TableText {
  readonly name: string;
  readonly sql: string;
}

/**
 * What tables of this service never say, and what makes one do other things than it is told: a conflict clause, which drops
 * or replaces rows without an error (and needs a constraint to do it on, mostly over a generated column), a check, another
 * order of texts. Keywords have one spelling, whatever stands between them.
 */
const ACTING_WORDS = /\b(?:CONFLICT|GENERATED|AS|CHECK|COLLATE)\b/i;

/** The one foreign key there is: a revocation goes with its certificate. */
const KNOWN_FOREIGN_KEY = { child: 'revocation', parent: 'certificate' };

/**
 * Throws `corrupt`, `STORE_DAMAGED`, when the database holds what acts by itself: a trigger, a view, a virtual table, a table
 * with a conflict clause, or one whose rows go or change with those of another. No version of this service makes any. Whoever
 * once had the file, or a backup of it, in their hands could leave a trigger that puts back what is revoked, at each
 * revocation, or a table that never keeps the count of tries at a code.
 */
export function requireTablesOnly(connection: Database): void {
  const foreign = connection
    .prepare<[], { type: string; name: string }>(
      `SELECT "type", "name" FROM sqlite_master
       WHERE "type" NOT IN ('table', 'index') OR "sql" LIKE 'CREATE VIRTUAL%' LIMIT 1`,
    )
    .get();
  if (foreign !== undefined) throw foreignTo(`the ${foreign.type} ${JSON.stringify(foreign.name)}`);
  const tables = connection
    .prepare<[], TableText>(`SELECT "name", "sql" FROM sqlite_master WHERE "type" = 'table'`)
    .all();
  const acting = tables.find((table) => ACTING_WORDS.test(table.sql) || hasForeignKey(connection, table));
  if (acting !== undefined) throw foreignTo(`the rules of table ${JSON.stringify(acting.name)}`);
}

function hasForeignKey(connection: Database, { name }: TableText): boolean {
  const parents = connection
    .prepare<[string], { parent: string }>('SELECT "table" AS "parent" FROM pragma_foreign_key_list(?)')
    .all(name);
  const { child, parent: known } = KNOWN_FOREIGN_KEY;
  return parents.some(({ parent }) => name !== child || parent !== known);
}

function foreignTo(what: string): DomainError {
  return storeDamaged(`it has ${what}, which this service never made`);
}
