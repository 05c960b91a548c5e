import { RejectNodePairingRequestResponse } from '../../generated/palyra/controlplane/v1/control_plane.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';

/** `palyra pairing reject`. */
export async function rejectRequest(
  context: CliContext,
  requestId: string,
  options: OperatorOptions & { readonly reason?: string },
): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output }) => {
    const response = await client.rejectNodePairingRequest({ requestId, reason: options.reason ?? '' });
    output.object(RejectNodePairingRequestResponse.toJSON(response));
    output.line(`request ${requestId} is rejected`);
  });
}
