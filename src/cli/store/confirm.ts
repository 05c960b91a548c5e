import { ConfirmRestoreResponse } from '../../generated/palyra/controlplane/v1/backup.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';

/** `palyra store confirm`. */
export async function confirmRestore(
  context: CliContext,
  options: OperatorOptions & { readonly reason?: string },
): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output }) => {
    const response = await client.confirmRestore({ reason: options.reason ?? '' });
    output.object(ConfirmRestoreResponse.toJSON(response));
    output.line('the quarantine is over: devices are admitted, and codes may be made');
  });
}
