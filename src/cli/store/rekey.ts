import { ClientError } from '../../client/client-error.js';
import {
  RekeyStoreDataResponse,
  RekeyStoreResponse,
  type StoreDataRekey,
  type StoreFinding,
  StoreKeyKind,
} from '../../generated/palyra/controlplane/v1/store.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { type OperatorSession, withOperatorSession } from '../operator-session.js';
import { counted } from '../terminal/counted.js';
import type { Output } from '../terminal/output.js';
import { ProgressLine } from './progress-line.js';

export interface RekeyOptions extends OperatorOptions {
  readonly prepared?: boolean;
  readonly data?: boolean;
  readonly reason?: string;
}

/** `palyra store rekey`: neither the old nor the new key passes through this command. */
export async function rekeyStore(context: CliContext, options: RekeyOptions): Promise<void> {
  if (options.data === true && options.prepared === true) {
    throw new ClientError('usage', 'TWO_KEYS', '--data and --prepared do not go together', {
      advice: 'change one key after the other: palyra store rekey --prepared, then palyra store rekey --data',
    });
  }
  await withOperatorSession(context, options, (session) =>
    options.data === true ? rekeyData(session, options) : rekeyMaster(session, options),
  );
}

async function rekeyMaster({ client, output }: OperatorSession, options: RekeyOptions): Promise<void> {
  const { prepared = false, reason = '' } = options;
  const response = await client.rekeyStore({ prepared, reason });
  output.object(RekeyStoreResponse.toJSON(response));
  output.fields([
    [response.kind === StoreKeyKind.STORE_KEY_KIND_PASSPHRASE ? 'passphrase' : 'key', response.file],
    ['where', 'on the host of the service'],
  ]);
  for (const line of whatToDo(response)) output.line(line);
}

function whatToDo({ kind, isNewSetting, isBeside }: RekeyStoreResponse): string[] {
  const setting =
    kind === StoreKeyKind.STORE_KEY_KIND_PASSPHRASE
      ? 'PALYRA_STORE_PASSPHRASE_FILE'
      : 'PALYRA_STORE_KEY_FILE';
  return [
    'keep a copy of it apart from the database; backups made before this still need the old one',
    ...(isNewSetting
      ? [`name it with ${setting}, then unset PALYRA_STORE_NEW_…; until then start tries both`]
      : []),
    ...(isBeside ? ['it could not be put into its place: move it there, without ".new"'] : []),
  ];
}

async function rekeyData({ client, output }: OperatorSession, { reason = '' }: RekeyOptions): Promise<void> {
  const progress = new ProgressLine(output);
  const findings: StoreFinding[] = [];
  let result: StoreDataRekey | undefined;
  for await (const response of client.rekeyStoreData({ reason })) {
    output.object(RekeyStoreDataResponse.toJSON(response));
    if (response.item?.$case === 'progress') progress.show('records sealed', response.item.value);
    if (response.item?.$case === 'finding') findings.push(response.item.value);
    if (response.item?.$case === 'rekey') result = response.item.value;
  }
  if (result === undefined) throw unfinished('the service did not say how it ended');
  showResult(output, result, findings);
}

function showResult(output: Output, result: StoreDataRekey, findings: readonly StoreFinding[]): void {
  output.fields([
    ['sealed anew', counted(result.records, 'record')],
    ['old data key', result.finished ? 'gone' : 'still there'],
  ]);
  if (findings.length > 0) {
    const rows = findings.map(({ record, reason }) => [record, reason]);
    output.table(['RECORD', 'REASON'], rows, '');
    throw new ClientError(
      'failed',
      'STORE_FINDINGS',
      counted(findings.length, 'record does not open', 'records do not open'),
      {
        advice: 'the old data key stays because of them; docs/operations.md says how to go on',
      },
    );
  }
  if (!result.finished) throw unfinished('the service ends and goes on at its next start');
}

function unfinished(message: string): ClientError {
  return new ClientError('failed', 'REKEY_UNFINISHED', message, {
    advice: 'nothing is lost; run the same command again to see how far it is',
  });
}
