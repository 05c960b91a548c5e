import type { Database } from 'better-sqlite3';
import { storeDamaged } from './store-keys.js';

/**
 * Throws `corrupt`, `STORE_DAMAGED`, when the database holds what acts by itself: a trigger, a view, a virtual table. No
 * version of this service makes any. Whoever once had the file, or a backup of it, in their hands could leave a trigger
 * that puts back what is revoked, at each revocation.
 */
export function requireTablesOnly(connection: Database): void {
  const foreign = connection
    .prepare<[], { type: string; name: string }>(
      `SELECT "type", "name" FROM sqlite_master
       WHERE "type" NOT IN ('table', 'index') OR "sql" LIKE 'CREATE VIRTUAL%' LIMIT 1`,
    )
    .get();
  if (foreign !== undefined) {
    throw storeDamaged(
      `it has the ${foreign.type} ${JSON.stringify(foreign.name)}, which this service never made`,
    );
  }
}
