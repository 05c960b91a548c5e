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
  const opened = openRow(sealer, row);
  if ('reason' in opened) return opened;
  try {
    decodeJsonRecord(opened.name, ANY_RECORD, opened.plaintext);
    return undefined;
  } catch (error) {
    return finding(opened.name, error);
  } finally {
    opened.plaintext.fill(0);
  }
}

/** The record's plaintext, or why it does not open. */
export function openRow(
  sealer: RecordSealer,
  row: SealedRow,
): RecordFinding | { readonly name: string; readonly plaintext: Buffer } {
  const { name, record } = row;
  if (typeof name !== 'string') {
    return { record: `(${typeof name} instead of a name)`, reason: 'RECORD_CORRUPT' };
  }
  if (!(record instanceof Uint8Array)) return { record: name, reason: 'RECORD_CORRUPT' };
  try {
    return { name, plaintext: sealer.open(name, record) };
  } catch (error) {
    return finding(name, error);
  }
}

/** A name without a canonical encoding is no reason of ours, and cannot have been sealed either. */
function finding(record: string, error: unknown): RecordFinding {
  return { record, reason: error instanceof DomainError ? error.reason : 'RECORD_CORRUPT' };
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
      const found = verifyRecord(sealer, row);
      if (found === undefined) continue;
      failed += 1;
      yield { kind: 'finding', finding: found };
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

/** Lets everybody else of the process have a turn. */
export const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });
