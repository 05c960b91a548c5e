import type { KeyObject } from 'node:crypto';
import type { SignedAuditHead } from '../../audit/audit-head.js';
import { ExportVerification } from '../../audit/audit-verification.js';
import { ClientError } from '../../client/client-error.js';
import { DomainError } from '../../errors/domain-error.js';
import { type LaterDecisions, LaterDecisionsReader, type Withdrawal } from '../../store/withdrawals.js';
import { ExportFile } from '../audit/export-file.js';
import type { Output } from '../terminal/output.js';

/** What an audit export is held against: the store's audit key, and the end of the backup as a signed head. */
export interface ExportTrust {
  readonly auditKey: KeyObject;
  readonly backupHead: SignedAuditHead;
}

export interface VerifiedLater extends LaterDecisions {
  /** Where the export ends. */
  readonly head: SignedAuditHead;
}

/**
 * Reads what an audit export says was decided after the backup. Throws `failed`, AUDIT_FINDINGS, unless the export
 * verifies under the store's audit key and goes on from the very entry at which the backup ends.
 */
export async function readLaterDecisions(path: string, trust: ExportTrust): Promise<VerifiedLater> {
  let file: ExportFile | undefined;
  try {
    file = await ExportFile.open(path);
    const { auditKey, backupHead } = trust;
    const { storeId, sequence } = backupHead;
    const verification = new ExportVerification(file.head, { auditKey, storeId, since: backupHead });
    const reader = new LaterDecisionsReader(sequence);
    for await (const entry of file.entries()) {
      verification.take(entry);
      reader.take(entry);
    }
    const [finding] = verification.findings();
    if (finding !== undefined) throw unfit(path, `${finding.finding} at sequence ${finding.sequence}`);
    return { ...reader.decisions(), head: file.head };
  } catch (error) {
    if (error instanceof DomainError) throw unfit(path, error.message);
    throw error;
  } finally {
    await file?.close();
  }
}

/** For people; scripts get the objects. */
export function showLaterDecisions(output: Output, { withdrawals, approvedDevices }: LaterDecisions): void {
  output.line();
  output.table(
    ['SEQUENCE', 'ACTION', 'SUBJECT', 'BY', 'REASON', 'REDO'],
    withdrawals.map((withdrawal) => [
      String(withdrawal.sequence),
      withdrawal.action,
      withdrawal.subject,
      withdrawal.actor,
      withdrawal.reason,
      REDO_TEXT[withdrawal.redo],
    ]),
    'nothing was withdrawn after the backup, as far as the audit export goes',
  );
  if (approvedDevices.length === 0) return;
  output.line();
  output.line('approved after the backup, so that they have to pair again:');
  for (const device of approvedDevices) output.line(`  ${device}`);
}

const REDO_TEXT: Record<Withdrawal['redo'], string> = {
  revoke: 'palyra store redo',
  by_hand: 'by hand',
};

export const laterObject = ({ withdrawals, approvedDevices }: LaterDecisions): object => ({
  withdrawals,
  approvedDevices,
});

function unfit(path: string, what: string): ClientError {
  return new ClientError(
    'failed',
    'AUDIT_FINDINGS',
    `${path} does not verify as the audit log that goes on from the backup: ${what}`,
    {
      advice: 'name an export of the same store that was made after the backup, with the entries since then',
    },
  );
}
