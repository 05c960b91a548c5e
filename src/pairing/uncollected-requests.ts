import type { Unit } from '../database/unit-of-work.js';
import { PairingRequestRow } from './pairing.entity.js';

/** Whose approval ends them, and of which request. */
interface NewerApproval {
  readonly actor: string;
  readonly source: string;
  readonly requestId: string;
}

/** Requests of a device that were approved, and whose certificate has not been sent to it yet. */
export function uncollectedRequests(unit: Unit, deviceId: string): Promise<PairingRequestRow[]> {
  return unit.tables.findBy(PairingRequestRow, { deviceId, state: 'approved' });
}

/**
 * Ends requests that a newer approval of the same device overtook, in its unit: a device has the certificate that it
 * works with and one to collect, never two to collect. Their certificates are withdrawn by the enrolment.
 */
export async function endUncollected(
  unit: Unit,
  rows: readonly PairingRequestRow[],
  { actor, source, requestId }: NewerApproval,
): Promise<void> {
  for (const row of rows) {
    await unit.tables.update(PairingRequestRow, { requestId: row.requestId }, { state: 'expired' });
    unit.audit.append({
      actor,
      source,
      action: 'pairing.expired',
      subject: `device/${row.deviceId}`,
      details: { request_id: row.requestId, was: row.state, overtaken_by: requestId },
    });
  }
}
