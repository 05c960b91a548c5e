import { ListNodePairingRequestsResponse } from '../../generated/palyra/controlplane/v1/control_plane.js';
import { allPages } from '../all-pages.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { clientKindWord, pairingStateWord, readPairingState } from '../enum-word.js';
import { withOperatorSession } from '../operator-session.js';
import { relativeText } from '../terminal/time-text.js';

export interface ListOptions extends OperatorOptions {
  readonly state?: string;
}

const HEADERS = ['REQUEST', 'STATE', 'DEVICE', 'KIND', 'PLATFORM', 'FROM', 'BEGUN', 'CONFLICT', 'WORDS'];

/** `palyra pairing list`. */
export async function listRequests(context: CliContext, options: ListOptions): Promise<void> {
  const state = readPairingState(options.state);
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const requests = await allPages(async (page) => {
      const response = await client.listNodePairingRequests({ state, ...page });
      return { items: response.requests, nextPageToken: response.nextPageToken };
    });
    output.object(ListNodePairingRequestsResponse.toJSON({ requests, nextPageToken: '' }));
    const rows = requests.map((request) => [
      request.requestId,
      pairingStateWord(request.state),
      request.deviceId,
      clientKindWord(request.clientKind),
      request.platform,
      request.sourceAddress,
      relativeText(request.createTime, now),
      request.conflict === '' ? '-' : request.conflict,
      request.fingerprintWords.join(' '),
    ]);
    output.table(HEADERS, rows, 'no pairing requests');
  });
}
