import type { Unit } from '../database/unit-of-work.js';
import type { RandomBytes } from '../random/random-bytes.js';
import { decoyVerifier } from '../spake2plus/verifier.js';
import { DECOY_RECORD_NAME, encodeDecoyRecord } from './pairing-record.js';

/** Makes the decoy of this store if it has none: it stands in for codes that do not exist, at the same cost. */
export async function ensureDecoy(unit: Unit, random: RandomBytes): Promise<void> {
  if ((await unit.secrets.read(DECOY_RECORD_NAME)) !== undefined) return;
  await unit.secrets.write(DECOY_RECORD_NAME, encodeDecoyRecord(decoyVerifier(random)));
}
