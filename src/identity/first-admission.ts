import type { UnitOfWork } from '../database/unit-of-work.js';
import type { Clock } from '../time/clock.js';
import { withFirstAdmission } from './certificate-succession.js';
import { readIdentity, writeIdentity } from './enrolment.js';

/**
 * Notes that a certificate was admitted for the first time, which starts the overlap's end for the one before it
 * (DESIGN §7). A device that has gone meanwhile is left alone.
 */
export async function noteFirstAdmission(
  parts: { readonly unitOfWork: UnitOfWork; readonly clock: Clock },
  deviceId: string,
  fingerprint: string,
): Promise<void> {
  await parts.unitOfWork.run(async (unit) => {
    const identity = await readIdentity(unit.secrets, deviceId);
    if (identity === undefined) return;
    const noted = withFirstAdmission(identity, fingerprint, parts.clock.now());
    if (noted !== identity) await writeIdentity(unit, noted);
  });
}
