import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { WithdrawPairingCodeResponse } from '../../generated/palyra/controlplane/v1/control_plane.js';
import { withOperatorSession } from '../operator-session.js';

/** `palyra pairing withdraw`. */
export async function withdrawCode(
  context: CliContext,
  codeId: string,
  options: OperatorOptions & { readonly reason?: string },
): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output }) => {
    const response = await client.withdrawPairingCode({
      codeId: codeId.toUpperCase(),
      reason: options.reason ?? '',
    });
    output.object(WithdrawPairingCodeResponse.toJSON(response));
    output.line(`code ${codeId.toUpperCase()} is withdrawn`);
  });
}
