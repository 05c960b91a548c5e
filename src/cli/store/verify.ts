import { ClientError } from '../../client/client-error.js';
import type { OperatorClient } from '../../client/operator-client.js';
import type { StoreFinding, StoreVerification } from '../../generated/palyra/controlplane/v1/store.js';
import { masterKeySources } from '../../config/master-key-sources.js';
import { verifyOffline } from '../../database/offline-verification.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';
import { serviceSettings } from '../service-settings.js';
import { counted } from '../terminal/counted.js';
import type { Output } from '../terminal/output.js';
import { ProgressLine } from './progress-line.js';

export interface VerifyOptions extends OperatorOptions {
  readonly offline?: boolean;
  readonly config?: string;
}

/** What a verification found. */
export interface StoreVerdict {
  readonly records: number;
  readonly findings: readonly StoreFinding[];
}

/** `palyra store verify`: throws `failed` when a record does not open. */
export async function verifyStore(context: CliContext, options: VerifyOptions): Promise<void> {
  if (options.offline === true) {
    await verifyOnDisk(context, options);
    return;
  }
  await withOperatorSession(context, options, async ({ client, output }) => {
    showVerdict(output, await takeVerification(client, output));
  });
}

/** With the settings of the service, and as its user. */
async function verifyOnDisk(context: CliContext, options: VerifyOptions): Promise<void> {
  process.umask(0o077);
  const output = context.output(options);
  const { settings } = serviceSettings(context, output, options.config);
  const { masterKey: current, nextMasterKey: next } = masterKeySources(settings.store);
  const findings: StoreFinding[] = [];
  let records = 0;
  for await (const item of verifyOffline({ current, next, dataDir: settings.store.dataDir })) {
    if (item.kind === 'finding') findings.push(item.finding);
    if (item.kind === 'verified') records = item.records;
  }
  showVerdict(output, { records, findings });
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
    output.fields([['verified', counted(records, 'record')]]);
    return;
  }
  output.table(
    ['RECORD', 'REASON'],
    findings.map(({ record, reason }) => [record, reason]),
    '',
  );
  throw new ClientError(
    'failed',
    'STORE_FINDINGS',
    `${counted(findings.length, 'finding')} in ${counted(records, 'record')}`,
    {
      advice: 'keep the data directory as it is; docs/operations.md says how to go on',
    },
  );
}
