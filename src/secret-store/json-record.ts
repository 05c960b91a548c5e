import type { z } from 'zod';
import { DomainError } from '../errors/domain-error.js';

/** Sealed values are UTF-8 JSON with a `v` number (docs/protocol.md, "Sealed records"). */
export function encodeJsonRecord(value: Readonly<Record<string, unknown>>): Buffer {
  return Buffer.from(JSON.stringify({ v: 1, ...value }), 'utf8');
}

/** Throws `corrupt` with the record's name when the bytes are not what `schema` says. */
export function decodeJsonRecord<T>(name: string, schema: z.ZodType<T>, bytes: Buffer): T {
  try {
    return schema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw corruptRecord(name, cause);
  }
}

export function corruptRecord(name: string, cause?: unknown): DomainError {
  return new DomainError(
    'corrupt',
    'RECORD_CORRUPT',
    `the record ${name} is damaged or from another version; restore the store from a backup`,
    { cause },
  );
}
