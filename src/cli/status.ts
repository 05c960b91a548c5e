import { GetStatusResponse } from '../generated/palyra/controlplane/v1/control_plane.js';
import type { CliContext } from './cli-context.js';
import type { OperatorOptions } from './command-options.js';
import { withOperatorSession } from './operator-session.js';
import { timeText } from './terminal/time-text.js';

/** `palyra status`. */
export async function showStatus(context: CliContext, options: OperatorOptions): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const status = await client.getStatus();
    output.object(GetStatusResponse.toJSON(status));
    output.fields([
      ['version', status.version],
      ['trust domain', status.trustDomain],
      ['you are', `${status.caller} (${status.callerRole})`],
      ['started', timeText(status.startTime, now)],
      ['gRPC endpoints', status.grpcEndpoints.join(', ')],
      ['QUIC endpoints', status.quicEndpoints.join(', ')],
      ['QUIC connections', String(status.quicConnections)],
      ['root ends', timeText(status.rootExpireTime, now)],
      ['server certificate ends', timeText(status.serverCertificateExpireTime, now)],
      ['store', status.storeId.toString('hex')],
      ['epoch, sequence', `${status.epoch.toString()}, ${status.sequence.toString()}`],
      ['audit public key', status.auditPublicKey.toString('hex')],
      ...restoreFields(status, now),
      ...status.holds.map(({ reason, message }): [string, string] => [`stopped (${reason})`, message]),
    ]);
  });
}

function restoreFields({ restore }: GetStatusResponse, now: number): [string, string][] {
  if (restore === undefined) return [];
  const text = `${timeText(restore.restoreTime, now)}, from sequence ${String(restore.backupSequence)}`;
  return [['restored', `${text}${restore.confirmed ? '' : ' (not confirmed)'}`]];
}
