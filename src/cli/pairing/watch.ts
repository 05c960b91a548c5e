import { WatchNodePairingRequestsResponse } from '../../generated/palyra/controlplane/v1/pairing_watch.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { clientKindWord, pairingStateWord } from '../enum-word.js';
import { readCount } from '../number-option.js';
import { withOperatorSession } from '../operator-session.js';

export interface WatchOptions extends OperatorOptions {
  readonly after?: string;
}

/** `palyra pairing watch`: runs until it is stopped, or `--timeout`. */
export async function watchRequests(context: CliContext, options: WatchOptions): Promise<void> {
  const afterSequence = BigInt(options.after === undefined ? 0 : readCount('--after', options.after));
  await withOperatorSession(context, options, async ({ client, output }) => {
    for await (const change of client.watchNodePairingRequests({ afterSequence })) {
      output.object(WatchNodePairingRequestsResponse.toJSON(change));
      const { request, sequence } = change;
      if (request === undefined) {
        output.progress(`these are all that wait, as of sequence ${sequence}; now what changes:`);
        continue;
      }
      const conflict = request.conflict === '' ? '' : ` (${request.conflict})`;
      const by = request.decidedBy === '' ? '' : ` by ${request.decidedBy}`;
      output.line(
        `${request.requestId}  ${pairingStateWord(request.state)}${by}  ${request.deviceId}  ` +
          `${clientKindWord(request.clientKind)} from ${request.sourceAddress}  ` +
          `${request.fingerprintWords.join(' ')}${conflict}`,
      );
    }
  });
}
