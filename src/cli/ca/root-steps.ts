import { ClientError } from '../../client/client-error.js';
import {
  ActivateRootResponse,
  type CaRoot,
  PrepareRootResponse,
  RetireRootResponse,
} from '../../generated/palyra/controlplane/v1/ca.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';
import { timeText } from '../terminal/time-text.js';

export interface RootStepOptions extends OperatorOptions {
  readonly reason?: string;
}

/** `palyra ca prepare`. */
export async function prepareRoot(context: CliContext, options: RootStepOptions): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output }) => {
    const response = await client.prepareRoot({ reason: options.reason ?? '' });
    output.object(PrepareRootResponse.toJSON(response));
    output.line(`root ${required(response.root).keyId} is prepared: it is trusted and signs nothing yet`);
    output.line('next, once whoever reads ca.pem or the bundle has the new one: palyra ca activate');
  });
}

/** `palyra ca activate`. */
export async function activateRoot(
  context: CliContext,
  keyId: string,
  options: RootStepOptions,
): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output }) => {
    const response = await client.activateRoot({ keyId, reason: options.reason ?? '' });
    output.object(ActivateRootResponse.toJSON(response));
    output.line(`root ${required(response.root).keyId} signs from now on`);
    output.line('next, once the last certificate under the old one has expired: palyra ca retire');
  });
}

/** `palyra ca retire`. */
export async function retireRoot(
  context: CliContext,
  keyId: string,
  options: RootStepOptions,
): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const response = await client.retireRoot({ keyId, reason: options.reason ?? '' });
    output.object(RetireRootResponse.toJSON(response));
    const root = required(response.root);
    output.line(`root ${root.keyId} is not trusted any more`);
    if (root.activateTime === undefined) return;
    output.line(
      `devices and tokens that know it alone find the way until ${timeText(root.shownUntilTime, now)}`,
    );
  });
}

/** Throws `failed` NO_ANSWER. */
export function required(root: CaRoot | undefined): CaRoot {
  if (root !== undefined) return root;
  throw new ClientError('failed', 'NO_ANSWER', 'the server left the root out');
}
