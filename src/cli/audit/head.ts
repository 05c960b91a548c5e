import { formatKeptHead } from '../../audit/audit-export.js';

import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';
import { takeExport } from './export-stream.js';
import { writeOutFile } from './out-file.js';

export interface HeadOptions extends OperatorOptions {
  readonly out?: string;
}

/** `palyra audit head`: what to keep elsewhere, so that later exports can be held against it. */
export async function keepHead(context: CliContext, options: HeadOptions): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output }) => {
    const { auditPublicKey } = await client.getStatus();
    // Behind the last number there is no entry: the head comes alone.
    const head = await takeExport(client, Number.MAX_SAFE_INTEGER, () => undefined);
    const line = formatKeptHead(head, auditPublicKey);
    const { out } = options;
    if (out === undefined) {
      output.line(line);
      output.object(JSON.parse(line));
      return;
    }
    await writeOutFile(out, async (file) => {
      await file.write(`${line}\n`);
    });
    output.object({ file: out, epoch: head.epoch, sequence: head.sequence });
    output.fields([
      ['file', out],
      ['epoch, sequence', `${head.epoch}, ${head.sequence}`],
    ]);
  });
}
