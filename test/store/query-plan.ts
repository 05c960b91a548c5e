import type { Store } from '../../src/database/open-store.js';

/** What SQLite says of how it runs each query of `work` that reads `table`, in their order. */
export async function plansOf(store: Store, table: string, work: () => Promise<unknown>): Promise<string[]> {
  const { tables } = store.committed;
  const source = tables.dataSource;
  const made: [string, unknown[]][] = [];
  const logger = source.logger;
  source.logger = {
    ...logger,
    logQuery: (sql: string, values: unknown[] = []) => made.push([sql, values]),
  };
  try {
    await work();
  } finally {
    source.logger = logger;
  }
  const plans: string[] = [];
  for (const [sql, values] of made.filter(([text]) => text.includes(`"${table}"`))) {
    const rows = await tables.query<{ detail: string }[]>(`EXPLAIN QUERY PLAN ${sql}`, values);
    plans.push(rows.map(({ detail }) => detail).join('; '));
  }
  return plans;
}
