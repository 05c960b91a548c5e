import { ClientError } from '../../client/client-error.js';
import { GetNodePairingRequestResponse } from '../../generated/palyra/controlplane/v1/control_plane.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';
import { requestFields } from './request-fields.js';

/** `palyra pairing show`. */
export async function showRequest(
  context: CliContext,
  requestId: string,
  options: OperatorOptions,
): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const response = await client.getNodePairingRequest({ requestId });
    output.object(GetNodePairingRequestResponse.toJSON(response));
    if (response.request === undefined)
      throw new ClientError('failed', 'NO_ANSWER', 'the server left the request out');
    output.fields(requestFields(response.request, now));
  });
}
