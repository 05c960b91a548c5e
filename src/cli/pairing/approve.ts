import { ApproveNodePairingRequestResponse } from '../../generated/palyra/controlplane/v1/control_plane.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';
import { timeText } from '../terminal/time-text.js';

export interface ApproveOptions extends OperatorOptions {
  readonly reason?: string;
  readonly replaceIdentity?: boolean;
}

/** `palyra pairing approve`. */
export async function approveRequest(
  context: CliContext,
  requestId: string,
  options: ApproveOptions,
): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const response = await client.approveNodePairingRequest({
      requestId,
      reason: options.reason ?? '',
      replaceIdentity: options.replaceIdentity === true,
    });
    output.object(ApproveNodePairingRequestResponse.toJSON(response));
    const { request, certificate } = response;
    output.line(`request ${requestId} is approved; its certificate waits for the device`);
    output.fields([
      ['device', request?.deviceId ?? ''],
      ['words', request?.fingerprintWords.join(' ') ?? ''],
      ['certificate', certificate?.fingerprint.toString('hex') ?? ''],
      ['expires', certificate === undefined ? '-' : timeText(new Date(Number(certificate.expiresAtMs)), now)],
    ]);
  });
}
