import { ClearDeviceResponse } from '../../generated/palyra/controlplane/v1/control_plane.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';

/** `palyra devices clear`. */
export async function clearDevice(
  context: CliContext,
  deviceId: string,
  options: OperatorOptions & { readonly reason?: string },
): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output }) => {
    const response = await client.clearDevice({ deviceId, reason: options.reason ?? '' });
    output.object(ClearDeviceResponse.toJSON(response));
    output.line(`nothing is held against device ${deviceId} any more`);
  });
}
