import { z } from 'zod';
import { decodeJsonRecord, encodeJsonRecord } from '../secret-store/json-record.js';
import type { SecretReader, SecretStore } from '../secret-store/secret-store.js';

/** Sealed record: the highest time that was audited while the clock was believed. */
export const CLOCK_RECORD_NAME = 'clock';

const schema = z.strictObject({ v: z.literal(1), highestMs: z.int().nonnegative() });

/** Unix milliseconds; `undefined` in a store of before there was such a record. Throws `corrupt`. */
export async function readHighestTime(secrets: SecretReader): Promise<number | undefined> {
  const sealed = await secrets.read(CLOCK_RECORD_NAME);
  return sealed === undefined ? undefined : decodeJsonRecord(CLOCK_RECORD_NAME, schema, sealed).highestMs;
}

export async function writeHighestTime(secrets: SecretStore, highestMs: number): Promise<void> {
  await secrets.write(CLOCK_RECORD_NAME, encodeJsonRecord({ highestMs }));
}
