import type { ValueTransformer } from 'typeorm';
import { DomainError } from '../errors/domain-error.js';

/**
 * For `bigint` columns. PostgreSQL hands 64-bit integers over as text, and SQLite silently rounds what a JavaScript
 * number cannot hold: both come out as safe integers, and what is none is refused on the way in and out.
 */
export const int64: ValueTransformer = {
  to: (value: unknown): unknown => (isPlainValue(value) ? safeInteger(value) : value),
  from: (value: unknown): unknown => (isPlainValue(value) ? safeInteger(value) : value),
};

const DECIMAL = /^-?[0-9]+$/;

/** Absent values and TypeORM's own operators (`LessThan` and the like) pass through unchanged. */
function isPlainValue(value: unknown): value is number | bigint | string {
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string';
}

function safeInteger(value: number | bigint | string): number {
  const integer = typeof value === 'string' && !DECIMAL.test(value) ? Number.NaN : Number(value);
  if (Number.isSafeInteger(integer)) return integer;
  throw new DomainError(
    'corrupt',
    'INTEGER_OUT_OF_RANGE',
    `${String(value)} is no integer that fits in 53 bits.`,
  );
}
