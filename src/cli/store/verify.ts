import { ClientError } from '../../client/client-error.js';
import type { OperatorClient } from '../../client/operator-client.js';
import type { StoreFinding, StoreVerification } from '../../generated/palyra/controlplane/v1/store.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';
import type { Output } from '../terminal/output.js';
import { ProgressLine } from './progress-line.js';

export type VerifyOptions = OperatorOptions;

/** What a verification found. */
export interface StoreVerdict {
  readonly records: number;
  readonly findings: readonly StoreFinding[];
}

/** `palyra store verify`: throws `failed` when a record does not open. */
export async function verifyStore(context: CliContext, options: VerifyOptions): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output }) => {
    showVerdict(output, await takeVerification(client, output));
  });
}

async function takeVerification(client: OperatorClient, output: Output): Promise<StoreVerdict> {
  const findings: StoreFinding[] = [];
  const progress = new ProgressLine(output);
  let last: StoreVerification | undefined;
  for await (const { item } of client.verifyStore()) {
    if (item?.$case === 'finding') findings.push(item.value);
    else if (item?.$case === 'progress') progress.show('records looked at', item.value);
    else last = item?.value;
  }
  if (last === undefined || Number(last.failed) !== findings.length) {
    throw new ClientError('failed', 'NO_ANSWER', 'the service did not look at all records', {
      advice: 'run the same command again',
    });
  }
  return { records: Number(last.records), findings };
}

function showVerdict(output: Output, { records, findings }: StoreVerdict): void {
  output.object({ verified: findings.length === 0, records, findings });
  if (findings.length === 0) {
    output.fields([['verified', `${records} records`]]);
    return;
  }
  output.table(
    ['RECORD', 'REASON'],
    findings.map(({ record, reason }) => [record, reason]),
    '',
  );
  throw new ClientError('failed', 'STORE_FINDINGS', `${findings.length} of ${records} records do not open`, {
    advice: 'keep the data directory as it is; docs/operations.md says how to go on',
  });
}
