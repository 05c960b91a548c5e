import { RevokeDeviceResponse } from '../../generated/palyra/controlplane/v1/control_plane.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';

/** `palyra devices revoke`. */
export async function revokeDevice(
  context: CliContext,
  deviceId: string,
  options: OperatorOptions & { readonly reason?: string },
): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output }) => {
    const response = await client.revokeDevice({ deviceId, reason: options.reason ?? '' });
    output.object(RevokeDeviceResponse.toJSON(response));
    output.line(`device ${deviceId} is revoked; connections closed: ${response.closedConnections}`);
  });
}
