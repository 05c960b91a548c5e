import Database from 'better-sqlite3';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestDevice } from './paired-device.js';
import type { ServiceProcess } from './service-process.js';

/** What can be seen of a walk from outside, in its order; a kill comes some random time after one of these. */
export const SIGHTS = ['start', 'try', 'device store', 'request', 'decision', 'collected'] as const;
export type Sight = (typeof SIGHTS)[number];

/** Counts in the database that only grow. */
const COUNTS = {
  try: 'SELECT COALESCE(SUM(tries), 0) AS count FROM pairing_try',
  request: 'SELECT COUNT(*) AS count FROM pairing_request',
  decision: `SELECT COUNT(*) AS count FROM pairing_request WHERE state IN ('approved', 'completed')`,
  collected: `SELECT COUNT(*) AS count FROM pairing_request WHERE state = 'completed'`,
} as const;

/** Watches the database over a connection of its own, as often as the event loop turns. */
export class StoreWatch {
  readonly #database: Database.Database;

  constructor(service: ServiceProcess) {
    this.#database = new Database(join(service.dataDir, 'palyra.db'), { readonly: true });
  }

  count(what: keyof typeof COUNTS): number {
    return this.#database.prepare<[], { count: number }>(COUNTS[what]).get()!.count;
  }

  close(): void {
    this.#database.close();
  }
}

/** Resolves when the sight is seen for the first time from now on, or when `over` says that it never will be. */
export async function seen(
  sight: Sight,
  watch: StoreWatch,
  device: TestDevice,
  over: () => boolean,
): Promise<void> {
  if (sight === 'start') return;
  const before = sight === 'device store' ? 0 : watch.count(sight);
  while (!over()) {
    if (sight === 'device store' ? await exists(device.directory) : watch.count(sight) > before) return;
    await sleep(1);
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
