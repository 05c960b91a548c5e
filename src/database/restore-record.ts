import { z } from 'zod';
import { decodeJsonRecord, encodeJsonRecord } from '../secret-store/json-record.js';

/** The sealed record `restore`: what the last restore began from, and whether an admin has confirmed it. */
export const RESTORE_RECORD_NAME = 'restore';

/** A store with such a record is in quarantine until it is confirmed (DESIGN §4). */
export interface RestoreRecord {
  /** The epoch that the restore began; that of the store. */
  readonly epoch: number;
  /** Where the backup ended. */
  readonly backup: {
    readonly epoch: number;
    readonly sequence: number;
    /** Hash of the entry with this sequence, 32 bytes. */
    readonly hash: Buffer;
    /** Its signature as an audit head, 64 bytes. */
    readonly signature: Buffer;
  };
  readonly restoredAt: number;
  readonly confirmedAt: number | null;
  readonly confirmedBy: string | null;
}

const number = z.int().nonnegative();

const hex = (bytes: number): z.ZodType<Buffer, string> =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))
    .transform((text) => Buffer.from(text, 'hex'));

const schema = z.strictObject({
  v: z.literal(1),
  epoch: number,
  backup: z.strictObject({
    epoch: number,
    sequence: number,
    hash: hex(32),
    signature: hex(64),
  }),
  restoredAt: number,
  confirmedAt: number.nullable(),
  confirmedBy: z.string().nullable(),
});

export function encodeRestoreRecord(record: RestoreRecord): Buffer {
  const { hash, signature, ...end } = record.backup;
  const backup = { ...end, hash: hash.toString('hex'), signature: signature.toString('hex') };
  return encodeJsonRecord({ ...record, backup });
}

/** Throws `corrupt`. */
export function decodeRestoreRecord(bytes: Buffer): RestoreRecord {
  const { v: _version, ...record } = decodeJsonRecord(RESTORE_RECORD_NAME, schema, bytes);
  return record;
}
