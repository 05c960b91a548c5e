/** Opens all sealed records of a store and names those that do not open. */
import { z } from 'zod';
import { DomainError } from '../errors/domain-error.js';
import { decodeJsonRecord } from './json-record.js';
import type { RecordSealer } from './record-sealer.js';
import type { SealedRow } from './sql-sealed-records.js';

/** A record that does not open, and why. */
export interface RecordFinding {
  readonly record: string;
  /** One of the reasons that opening a record has (docs/errors.md), or `RECORD_CORRUPT`. */
  readonly reason: string;
}

export type VerificationItem =
  | { readonly kind: 'finding'; readonly finding: RecordFinding }
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  /** Last and once: all records were looked at. */
  | { readonly kind: 'verified'; readonly records: number; readonly failed: number };

/** Where records are read from. `SqlSealedRecords` is one. */
export interface SealedRecords {
  count(): Promise<number>;
  page(after: string, limit: number): Promise<SealedRow[]>;
}

/** Records between two turns of the event loop: some milliseconds. */
const PAGE = 100;
/** What every sealed value is, whatever else is in it (docs/protocol.md, "Sealed records"). */
const ANY_RECORD = z.looseObject({ v: z.number() });

/** `undefined` if the record opens and holds what sealed values hold. */
export function verifyRecord(sealer: RecordSealer, row: SealedRow): RecordFinding | undefined {
  const record = typeof row.name === 'string' ? row.name : `(${typeof row.name} instead of a name)`;
  if (typeof row.name !== 'string' || !(row.record instanceof Uint8Array)) {
    return { record, reason: 'RECORD_CORRUPT' };
  }
  try {
    const plaintext = sealer.open(row.name, row.record);
    try {
      decodeJsonRecord(row.name, ANY_RECORD, plaintext);
    } finally {
      plaintext.fill(0);
    }
    return undefined;
  } catch (error) {
    // A name without a canonical encoding cannot have been sealed either.
    return { record, reason: error instanceof DomainError ? error.reason : 'RECORD_CORRUPT' };
  }
}

/** Goes through all records in the order of their names, page by page, and lets others work in between. */
export async function* verifyRecords(
  records: SealedRecords,
  sealer: RecordSealer,
): AsyncGenerator<VerificationItem, void, undefined> {
  const total = await records.count();
  let done = 0;
  let failed = 0;
  let after: string | undefined = '';
  while (after !== undefined) {
    const page: SealedRow[] = await records.page(after, PAGE);
    for (const row of page) {
      const finding = verifyRecord(sealer, row);
      if (finding === undefined) continue;
      failed += 1;
      yield { kind: 'finding', finding };
    }
    done += page.length;
    yield { kind: 'progress', done, total };
    after = lastName(page);
    await nextTurn();
  }
  yield { kind: 'verified', records: done, failed };
}

/** What the next page comes behind; `undefined` after the last page. SQLite sorts what is no text behind all names. */
function lastName(page: readonly SealedRow[]): string | undefined {
  const last = page.at(-1)?.name;
  return page.length === PAGE && typeof last === 'string' ? last : undefined;
}

const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });
