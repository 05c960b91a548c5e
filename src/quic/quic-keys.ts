import { z } from 'zod';
import type { Unit } from '../database/unit-of-work.js';
import type { RandomBytes } from '../random/random-bytes.js';
import { decodeJsonRecord, encodeJsonRecord } from '../secret-store/json-record.js';

const RECORD_NAME = 'quic-keys';
const KEY_BYTES = 32;

/**
 * Keys that must outlive the process, 32 bytes each: Retry tokens of before a restart stay good, and a client of a killed
 * process is reset at once (RFC 9000 §10.3) instead of waiting for its idle time-out.
 */
export interface QuicKeys {
  readonly retry: Buffer;
  readonly statelessReset: Buffer;
}

const key = z
  .base64()
  .transform((text) => Buffer.from(text, 'base64'))
  .refine((bytes) => bytes.length === KEY_BYTES);
const schema = z.strictObject({ v: z.literal(1), retry: key, statelessReset: key });

/** The keys of this store; made at the first start. Throws `corrupt` when their record is damaged. */
export async function ensureQuicKeys(unit: Unit, random: RandomBytes): Promise<QuicKeys> {
  const sealed = await unit.secrets.read(RECORD_NAME);
  if (sealed !== undefined) return decodeJsonRecord(RECORD_NAME, schema, sealed);
  const keys = { retry: random(KEY_BYTES), statelessReset: random(KEY_BYTES) };
  const record = {
    retry: keys.retry.toString('base64'),
    statelessReset: keys.statelessReset.toString('base64'),
  };
  await unit.secrets.write(RECORD_NAME, encodeJsonRecord(record));
  return keys;
}
