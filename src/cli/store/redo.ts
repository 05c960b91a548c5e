import type { SignedAuditHead } from '../../audit/audit-head.js';
import { ClientError } from '../../client/client-error.js';
import type { OperatorClient } from '../../client/operator-client.js';
import { RemoteError } from '../../client/remote-error.js';
import type { GetStatusResponse } from '../../generated/palyra/controlplane/v1/control_plane.js';
import type { Withdrawal } from '../../store/withdrawals.js';
import { readAuditKey } from '../audit/trust-options.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';
import { readLaterDecisions, showLaterDecisions } from './later-decisions.js';

export interface RedoOptions extends OperatorOptions {
  readonly auditExport: string;
}

/** What became of a withdrawal: `unknown` means that the backup has no such device, so that there is nothing to revoke. */
type Outcome = 'revoked' | 'unknown' | 'by_hand';

/** `palyra store redo`: revokes again; repeatable, since revoking what is revoked changes nothing. */
export async function redoWithdrawals(context: CliContext, options: RedoOptions): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output }) => {
    const status = await client.getStatus();
    const auditKey = readAuditKey(undefined, status.auditPublicKey);
    const later = await readLaterDecisions(options.auditExport, {
      auditKey,
      backupHead: backupHeadOf(status),
    });
    const outcomes: (Withdrawal & { outcome: Outcome })[] = [];
    for (const withdrawal of later.withdrawals) {
      outcomes.push({ ...withdrawal, outcome: await redo(client, withdrawal) });
    }
    output.object({ withdrawals: outcomes, approvedDevices: later.approvedDevices });
    showLaterDecisions(output, later);
    const count = (wanted: Outcome): number => outcomes.filter(({ outcome }) => outcome === wanted).length;
    output.line();
    output.fields([
      ['revoked again', String(count('revoked'))],
      ['unknown to the backup', String(count('unknown'))],
      ['by hand', String(count('by_hand'))],
    ]);
  });
}

function backupHeadOf({ storeId, restore }: GetStatusResponse): SignedAuditHead {
  if (restore === undefined) {
    throw new ClientError(
      'failed',
      'NOT_RESTORED',
      'the store of this service was not restored from a backup',
      {
        advice: 'run it against the service that was started on the restored store',
      },
    );
  }
  return {
    storeId,
    epoch: Number(restore.backupEpoch),
    sequence: Number(restore.backupSequence),
    hash: restore.backupHash,
    signature: restore.backupSignature,
  };
}

async function redo(client: OperatorClient, withdrawal: Withdrawal): Promise<Outcome> {
  if (withdrawal.redo === 'by_hand') return 'by_hand';
  const deviceId = withdrawal.subject.replace(/^device\//, '');
  const reason = `again after a restore (entry ${withdrawal.sequence}): ${withdrawal.reason}`;
  try {
    await client.revokeDevice({ deviceId, reason: withinBytes(reason) });
    return 'revoked';
  } catch (error) {
    if (error instanceof RemoteError && error.reason === 'DEVICE_NOT_FOUND') return 'unknown';
    throw error;
  }
}

const MOST_REASON_BYTES = 500;

/** Cut at a character, to what the service takes. */
function withinBytes(text: string): string {
  let cut = text;
  while (Buffer.byteLength(cut) > MOST_REASON_BYTES) cut = cut.slice(0, -1);
  return cut.toWellFormed();
}
