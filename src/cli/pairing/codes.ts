import { ListPairingCodesResponse } from '../../generated/palyra/controlplane/v1/control_plane.js';
import { allPages } from '../all-pages.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { codeKindWord } from '../enum-word.js';
import { withOperatorSession } from '../operator-session.js';
import { relativeText } from '../terminal/time-text.js';

const HEADERS = ['CODE', 'KIND', 'TRIES LEFT', 'EXPIRES', 'MINTED BY'];

/** `palyra pairing codes`. */
export async function listCodes(context: CliContext, options: OperatorOptions): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const codes = await allPages(async (page) => {
      const response = await client.listPairingCodes(page);
      return { items: response.codes, nextPageToken: response.nextPageToken };
    });
    output.object(ListPairingCodesResponse.toJSON({ codes, nextPageToken: '' }));
    const rows = codes.map((code) => [
      code.codeId,
      codeKindWord(code.kind),
      code.triesLeft === undefined ? '-' : String(code.triesLeft),
      relativeText(code.expireTime, now),
      code.createdBy,
    ]);
    output.table(HEADERS, rows, 'no live codes');
  });
}
