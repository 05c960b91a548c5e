import { DomainError } from '../errors/domain-error.js';

interface StorageProblem {
  readonly kind: 'unavailable' | 'corrupt';
  readonly reason: string;
  readonly message: string;
  readonly retryAfterMs?: number;
}

const STORE_FULL: StorageProblem = {
  kind: 'unavailable',
  reason: 'STORE_FULL',
  message: 'The store is full and nothing was changed: free space on its disk, then try again.',
};

const STORE_READ_ONLY: StorageProblem = {
  kind: 'unavailable',
  reason: 'STORE_READ_ONLY',
  message:
    'The store cannot be written: check owner and permissions of the data directory and its file system.',
};

/** By the beginning of SQLite's result code (https://sqlite.org/rescode.html), or the code of the system. */
const PROBLEMS: readonly (readonly [prefix: string, problem: StorageProblem])[] = [
  ['SQLITE_FULL', STORE_FULL],
  ['ENOSPC', STORE_FULL],
  ['EDQUOT', STORE_FULL],
  [
    'SQLITE_IOERR',
    {
      kind: 'unavailable',
      reason: 'STORE_IO_ERROR',
      message:
        'The disk of the store reported an error and nothing was acknowledged: check the disk, then try again.',
    },
  ],
  ['SQLITE_READONLY', STORE_READ_ONLY],
  ['EROFS', STORE_READ_ONLY],
  [
    'SQLITE_BUSY',
    {
      kind: 'unavailable',
      reason: 'STORE_BUSY',
      message: 'Another program has locked the database: end it, then try again.',
      retryAfterMs: 1_000,
    },
  ],
  [
    'SQLITE_LOCKED',
    {
      kind: 'unavailable',
      reason: 'STORE_BUSY',
      message: 'The database is locked: try again.',
      retryAfterMs: 1_000,
    },
  ],
  [
    'SQLITE_CANTOPEN',
    {
      kind: 'unavailable',
      reason: 'STORE_UNREADABLE',
      message:
        'A file of the database cannot be opened: check owner and permissions of the data directory, and whether its file system is read-only.',
    },
  ],
  [
    'SQLITE_NOMEM',
    {
      kind: 'unavailable',
      reason: 'STORE_OUT_OF_MEMORY',
      message: 'There is no memory left for the database.',
    },
  ],
  [
    'SQLITE_CORRUPT',
    {
      kind: 'corrupt',
      reason: 'STORE_DAMAGED',
      message: 'The database file is damaged: restore the store from a backup.',
    },
  ],
  [
    'SQLITE_NOTADB',
    {
      kind: 'corrupt',
      reason: 'STORE_DAMAGED',
      message: 'The database file is no database, or is damaged: restore the store from a backup.',
    },
  ],
];

/** The `DomainError` for a failure of storage; `undefined` when `error` is something else, a constraint for example. */
export function storageError(error: unknown): DomainError | undefined {
  const code = codeOf(error);
  const problem = PROBLEMS.find(([prefix]) => code?.startsWith(prefix) === true)?.[1];
  if (problem === undefined) return undefined;
  const { kind, reason, message, retryAfterMs } = problem;
  return new DomainError(kind, reason, message, {
    cause: error,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** Runs it, and throws the `DomainError` in place of a failure of storage. */
export async function mapStorageErrors<T>(run: () => T | Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw storageError(error) ?? error;
  }
}

/** What reads and units meet that come while the process ends. */
export function storeClosed(): DomainError {
  return new DomainError('unavailable', 'STORE_CLOSED', 'The store is closed: the process is ending.');
}

/** The code of an error of better-sqlite3 or of the system, or of one that TypeORM has put around it. */
function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'driverError' in error ? codeOf(error.driverError) : undefined;
}
