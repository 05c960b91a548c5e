import { type CaRoot, ListRootsResponse } from '../../generated/palyra/controlplane/v1/ca.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { rootStateWord } from '../enum-word.js';
import { withOperatorSession } from '../operator-session.js';
import { relativeText } from '../terminal/time-text.js';

const HEADERS = ['KEY ID', 'STATE', 'CREATED', 'ENDS', 'NEEDED UNTIL', 'SHOWN UNTIL'];

/** `palyra ca show`. */
export async function showRoots(context: CliContext, options: OperatorOptions): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const response = await client.listRoots();
    output.object(ListRootsResponse.toJSON(response));
    output.table(
      HEADERS,
      response.roots.map((root) => row(root, now)),
      'no roots',
    );
  });
}

function row(root: CaRoot, now: number): string[] {
  return [
    root.keyId,
    rootStateWord(root.state),
    relativeText(root.createTime, now),
    relativeText(root.expireTime, now),
    relativeText(root.neededUntilTime, now),
    relativeText(root.shownUntilTime, now),
  ];
}
