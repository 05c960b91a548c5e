import { ClientError } from '../../client/client-error.js';
import { ReplaceCompromisedRootsResponse } from '../../generated/palyra/controlplane/v1/ca.js';
import type { CliContext } from '../cli-context.js';
import { withOperatorSession } from '../operator-session.js';
import { required, type RootStepOptions } from './root-steps.js';

export interface RotateOptions extends RootStepOptions {
  readonly compromised?: boolean;
}

/** `palyra ca rotate --compromised`. */
export async function rotateCompromised(context: CliContext, options: RotateOptions): Promise<void> {
  if (options.compromised !== true) throw notSaid();
  await withOperatorSession(context, options, async ({ client, output }) => {
    const response = await client.replaceCompromisedRoots({ reason: options.reason ?? '' });
    output.object(ReplaceCompromisedRootsResponse.toJSON(response));
    output.fields([
      ['root', required(response.root).keyId],
      ['connections closed', String(response.closedConnections)],
      ['operator tokens ended', String(response.endedOperators)],
      ['links ended', String(response.endedLinks)],
    ]);
    output.line('all earlier roots are gone; the new admin token is in admin-token in the data directory');
    output.line('with it, see which devices must pair again: palyra ca devices-to-pair');
  });
}

function notSaid(): ClientError {
  return new ClientError('usage', 'COMPROMISED_MISSING', 'this cuts every device and operator off at once', {
    advice:
      'if a key of the CA is in other hands, say so with --compromised; otherwise rotate with ca prepare, ca activate, ca retire',
  });
}
