import type { EntityManager } from 'typeorm';
import type { Unit } from '../database/unit-of-work.js';
import { PairingTryRow } from './pairing.entity.js';

/** Handshakes that may be begun with one PIN code id (DESIGN §5): each `hello` is one guess. */
export const TRIES_PER_PIN = 3;

/** How long a try row outlives its last try, milliseconds. */
export const TRY_ROW_LIFE_MS = 60 * 60_000;

/**
 * Counts one try of a PIN code id, whether or not such a code exists, and says whether it was among the allowed ones.
 * The caller answers nothing before the unit is committed. Same statements for a live, a dead and an unknown id.
 */
export async function spendTry(unit: Unit, codeId: string, now: number): Promise<boolean> {
  const before = await unit.tables.findOneBy(PairingTryRow, { codeId });
  const tries = (before?.tries ?? 0) + 1;
  const row = { codeId, tries, audited: before?.audited ?? 0, lastAt: now };
  await unit.tables.upsert(PairingTryRow, row, ['codeId']);
  return tries <= TRIES_PER_PIN;
}

/** Tries left of a PIN code id, 0 to {@link TRIES_PER_PIN}. */
export async function triesLeft(tables: EntityManager, codeId: string): Promise<number> {
  const row = await tables.findOneBy(PairingTryRow, { codeId });
  return Math.max(0, TRIES_PER_PIN - (row?.tries ?? 0));
}
