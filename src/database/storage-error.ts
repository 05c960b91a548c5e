import { DomainError } from '../errors/domain-error.js';

interface StorageProblem {
  readonly kind: 'unavailable' | 'corrupt';
  readonly reason: string;
  readonly message: string;
  readonly retryAfterMs?: number;
}

/** By the beginning of SQLite's result code (https://sqlite.org/rescode.html). */
const PROBLEMS: readonly (readonly [prefix: string, problem: StorageProblem])[] = [
  [
    'SQLITE_FULL',
    {
      kind: 'unavailable',
      reason: 'STORE_FULL',
      message: 'The store is full and nothing was changed: free space on its disk, then try again.',
    },
  ],
  [
    'SQLITE_IOERR',
    {
      kind: 'unavailable',
      reason: 'STORE_IO_ERROR',
      message:
        'The disk of the store reported an error and nothing was acknowledged: check the disk, then try again.',
    },
  ],
  [
    'SQLITE_READONLY',
    {
      kind: 'unavailable',
      reason: 'STORE_READ_ONLY',
      message:
        'The store cannot be written: check owner and permissions of the data directory and its file system.',
    },
  ],
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
      message: 'A file of the database cannot be opened: check owner and permissions of the data directory.',
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
  const code = sqliteCode(error);
  const problem = PROBLEMS.find(([prefix]) => code?.startsWith(prefix) === true)?.[1];
  if (problem === undefined) return undefined;
  const { kind, reason, message, retryAfterMs } = problem;
  return new DomainError(kind, reason, message, {
    cause: error,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** What reads and units meet that come while the process ends. */
export function storeClosed(): DomainError {
  return new DomainError('unavailable', 'STORE_CLOSED', 'The store is closed: the process is ending.');
}

/** SQLite's result code of an error of better-sqlite3, or of TypeORM around one. */
function sqliteCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'driverError' in error ? sqliteCode(error.driverError) : undefined;
}
