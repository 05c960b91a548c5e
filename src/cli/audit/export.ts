import { formatEntry, formatHead } from '../../audit/audit-export.js';
import type { SignedAuditHead } from '../../audit/audit-head.js';
import { ClientError } from '../../client/client-error.js';
import type { OperatorClient } from '../../client/operator-client.js';
import { compareStoreTime, parseStoreNumber } from '../../client/store-time.js';

import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';
import { fallText } from '../store-time-text.js';
import type { Output } from '../terminal/output.js';
import { readKeptHead } from './export-file.js';
import { takeExport } from './export-stream.js';
import { writeOutFile } from './out-file.js';

export interface ExportOptions extends OperatorOptions {
  readonly out: string;
  readonly sinceFile?: string;
  readonly after?: string;
}

const PROGRESS_INTERVAL_MS = 2_000;

/** `palyra audit export`: the file is there as a whole once the head has come, or as it was. */
export async function exportAudit(context: CliContext, options: ExportOptions): Promise<void> {
  const since = await readStart(options);
  await withOperatorSession(context, options, async ({ client, output }) => {
    const count = new Progress(output, () => context.clock.monotonic());
    let head: SignedAuditHead | undefined;
    await writeOutFile(options.out, async (file) => {
      head = await takeExport(client, since.after, async (entry) => {
        await file.write(`${formatEntry(entry)}\n`);
        count.step(expectedTotal(client, since.after));
      });
      await file.write(`${formatHead(head)}\n`);
    });
    if (head !== undefined) report(output, options.out, since, count.done, head);
  });
}

interface Start {
  /** The sequence behind which the export begins. */
  readonly after: number;
  readonly head: SignedAuditHead | undefined;
}

async function readStart({ sinceFile, after }: ExportOptions): Promise<Start> {
  if (sinceFile !== undefined && after !== undefined) {
    throw new ClientError('usage', 'TWO_STARTS', '--since-file and --after are both given', {
      advice: 'keep one of them',
    });
  }
  if (sinceFile === undefined)
    return { after: after === undefined ? 0 : readSequence(after), head: undefined };
  const { head } = await readKeptHead(sinceFile);
  return { after: head.sequence, head };
}

function readSequence(text: string): number {
  const sequence = parseStoreNumber(text);
  if (sequence !== undefined) return sequence;
  throw new ClientError('usage', 'SEQUENCE', `--after ${JSON.stringify(text)} is no sequence`, {
    advice: 'write the number of an entry, as palyra audit list shows it',
  });
}

function expectedTotal(client: OperatorClient, after: number): number | undefined {
  return client.storeTime === undefined ? undefined : client.storeTime.sequence - after;
}

/** Tells, for people, how far a long export is. */
class Progress {
  done = 0;
  #toldAt: number;

  constructor(
    private readonly output: Output,
    private readonly now: () => number,
  ) {
    this.#toldAt = now();
  }

  step(total: number | undefined): void {
    this.done += 1;
    const now = this.now();
    if (now - this.#toldAt < PROGRESS_INTERVAL_MS) return;
    this.#toldAt = now;
    this.output.progress(`${this.done}${total === undefined ? '' : ` of ${total}`} entries`);
  }
}

function report(output: Output, path: string, since: Start, entries: number, head: SignedAuditHead): void {
  if (since.head !== undefined && compareStoreTime(since.head, head) === 'fell') {
    output.warning('STORE_TIME_FELL', fallText(since.head, head));
  }
  const { epoch, sequence } = head;
  output.object({ file: path, entries, epoch, sequence, hash: head.hash.toString('hex') });
  output.fields([
    ['file', path],
    ['entries', String(entries)],
    ['epoch, sequence', `${epoch}, ${sequence}`],
    ['hash', head.hash.toString('hex')],
  ]);
}
