import type { AuditEntry } from '../../audit/audit-entry.js';
import type { SignedAuditHead } from '../../audit/audit-head.js';
import { exportItemFromProto } from '../../audit/audit-messages.js';
import { ClientError } from '../../client/client-error.js';
import type { OperatorClient } from '../../client/operator-client.js';

/**
 * Takes an export from the service: each entry behind `after` as it comes, and in the end the signed head. Throws `failed`
 * when the head does not come last.
 */
export async function takeExport(
  client: OperatorClient,
  after: number,
  onEntry: (entry: AuditEntry) => Promise<void> | void,
): Promise<SignedAuditHead> {
  let head: SignedAuditHead | undefined;
  for await (const response of client.exportAudit({ afterSequence: BigInt(after) })) {
    const item = exportItemFromProto(response);
    if (item === undefined || head !== undefined) throw incomplete();
    if ('head' in item) head = item.head;
    else await onEntry(item.entry);
  }
  if (head === undefined) throw incomplete();
  return head;
}

function incomplete(): ClientError {
  return new ClientError('failed', 'NO_ANSWER', 'the export does not end with one signed head', {
    advice: 'run the same command again',
  });
}
