import { PruneStoreResponse } from '../../generated/palyra/controlplane/v1/prune.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';

export interface PruneOptions extends OperatorOptions {
  readonly dryRun?: boolean;
}

/** `palyra store prune`. */
export async function pruneStore(context: CliContext, options: PruneOptions): Promise<void> {
  const dryRun = options.dryRun === true;
  await withOperatorSession(context, options, async ({ client, output }) => {
    const response = await client.pruneStore({ dryRun });
    output.object(PruneStoreResponse.toJSON(response));
    output.table(
      ['RECORDS', dryRun ? 'WOULD GO' : 'WENT', 'KEPT FOR'],
      response.pruned.map(({ what, records, keptFor }) => [
        what,
        String(records),
        daysText(keptFor?.seconds ?? 0n),
      ]),
      '',
    );
  });
}

const daysText = (seconds: bigint): string =>
  seconds % 86_400n === 0n ? `${String(seconds / 86_400n)} d` : `${String(seconds)} s`;
