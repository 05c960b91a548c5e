import type { FileHandle } from 'node:fs/promises';
import { ClientError } from '../../client/client-error.js';
import type { OperatorClient } from '../../client/operator-client.js';
import type { StoreCopy } from '../../database/store-copy.js';
import type { BackupSummary } from '../../generated/palyra/controlplane/v1/backup.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';
import type { Output } from '../terminal/output.js';
import { requireWhole, writeNewFile } from './backup-file.js';
import { ProgressLine } from './progress-line.js';

export interface BackupOptions extends OperatorOptions {
  readonly out: string;
}

/** `palyra store backup`: the file is there once it was read back and found whole, or not at all. */
export async function backupStore(context: CliContext, options: BackupOptions): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output }) => {
    const taken = await take(client, output, options.out);
    const { storeId, size, epoch, sequence, sha256 } = taken;
    output.object({
      file: options.out,
      size: Number(size),
      sha256: sha256.toString('hex'),
      store: storeId.toString('hex'),
      epoch: Number(epoch),
      sequence: Number(sequence),
    });
    output.fields([
      ['file', options.out],
      ['bytes', String(size)],
      ['sha256', sha256.toString('hex')],
      ['store', storeId.toString('hex')],
      ['epoch, sequence', `${String(epoch)}, ${String(sequence)}`],
    ]);
    output.line(
      'the store key is not in it: without the key it opens for nobody, so keep that too, elsewhere',
    );
  });
}

async function take(client: OperatorClient, output: Output, path: string): Promise<BackupSummary> {
  let summary: BackupSummary | undefined;
  await writeNewFile(
    path,
    async (handle) => {
      summary = await fill(handle, client, output);
    },
    async (written) => {
      if (summary === undefined) throw incomplete();
      await requireWhole(written, summary.sha256, copyOf(summary));
    },
  );
  if (summary === undefined) throw incomplete();
  return summary;
}

async function fill(
  handle: FileHandle,
  client: OperatorClient,
  output: Output,
): Promise<BackupSummary | undefined> {
  const progress = new ProgressLine(output);
  let summary: BackupSummary | undefined;
  for await (const { item } of client.backupStore()) {
    if (summary !== undefined) throw incomplete();
    if (item?.$case === 'chunk') await handle.writeFile(item.value);
    else if (item?.$case === 'progress') {
      const { pagesDone: recordsDone, pagesTotal: recordsTotal } = item.value;
      progress.show('pages copied', { recordsDone, recordsTotal });
    } else summary = item?.value;
  }
  return summary;
}

const copyOf = ({ storeId, epoch, sequence, hash }: BackupSummary): StoreCopy => ({
  storeId,
  epoch: Number(epoch),
  sequence: Number(sequence),
  hash,
});

function incomplete(): ClientError {
  return new ClientError('failed', 'NO_ANSWER', 'the backup does not end with one summary', {
    advice: 'run the same command again',
  });
}
