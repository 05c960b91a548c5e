import { ClientError } from '../../client/client-error.js';
import {
  type DeepPartial,
  type ListNodePairingRequestsRequest,
  ListNodePairingRequestsResponse,
} from '../../generated/palyra/controlplane/v1/control_plane.js';
import { allPages } from '../all-pages.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { readProtoAge } from '../duration-option.js';
import { clientKindWord, pairingStateWord, readClientKinds, readPairingState } from '../enum-word.js';
import { withOperatorSession } from '../operator-session.js';
import { relativeText } from '../terminal/time-text.js';

export interface ListOptions extends OperatorOptions {
  readonly state?: string;
  readonly clientKind?: string;
  readonly code?: string;
  readonly minAge?: string;
  readonly maxAge?: string;
}

const HEADERS = ['REQUEST', 'STATE', 'DEVICE', 'KIND', 'PLATFORM', 'FROM', 'BEGUN', 'CONFLICT', 'WORDS'];

/** `palyra pairing list`. */
export async function listRequests(context: CliContext, options: ListOptions): Promise<void> {
  const filter = filterOf(options);
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const requests = await allPages(async (page) => {
      const response = await client.listNodePairingRequests({ ...filter, ...page });
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

function filterOf(options: ListOptions): DeepPartial<ListNodePairingRequestsRequest> {
  const [clientKind, ...others] = readClientKinds('--client-kind', options.clientKind);
  if (others.length > 0) throw oneKindOnly();
  return {
    state: readPairingState(options.state),
    ...(clientKind === undefined ? {} : { clientKind }),
    codeId: (options.code ?? '').toUpperCase(),
    ...(options.minAge === undefined ? {} : { minAge: readProtoAge('--min-age', options.minAge) }),
    ...(options.maxAge === undefined ? {} : { maxAge: readProtoAge('--max-age', options.maxAge) }),
  };
}

function oneKindOnly(): ClientError {
  return new ClientError('usage', 'KIND', '--client-kind names several kinds', {
    advice: 'list by one kind',
  });
}
