import type { AuditEntry } from '../../audit/audit-entry.js';
import { exportItemToProto } from '../../audit/audit-messages.js';
import { ClientError } from '../../client/client-error.js';
import { ExportAuditResponse } from '../../generated/palyra/controlplane/v1/control_plane.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { withOperatorSession } from '../operator-session.js';
import { timeText } from '../terminal/time-text.js';
import { takeExport } from './export-stream.js';

export interface AuditListOptions extends OperatorOptions {
  readonly limit?: string;
  readonly action?: string;
  readonly subject?: string;
}

const HEADERS = ['SEQUENCE', 'TIME', 'ACTOR', 'ACTION', 'SUBJECT', 'REASON'];
const DEFAULT_LIMIT = 50;
const LARGEST_LIMIT = 10_000;

/** `palyra audit list`: the newest last. With a filter the service sends the whole log, and this side chooses. */
export async function listAudit(context: CliContext, options: AuditListOptions): Promise<void> {
  const limit = readLimit(options.limit);
  const isFiltered = options.action !== undefined || options.subject !== undefined;
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const { sequence } = await client.getStatus();
    const after = isFiltered ? 0 : Math.max(0, Number(sequence) - limit);
    const entries: AuditEntry[] = [];
    await takeExport(client, after, (entry) => {
      if (!isWanted(entry, options)) return;
      entries.push(entry);
      if (entries.length > limit) entries.shift();
    });
    for (const entry of entries) output.object(ExportAuditResponse.toJSON(exportItemToProto({ entry })));
    const rows = entries.map((entry) => [
      String(entry.sequence),
      timeText(new Date(entry.timeMs), now),
      entry.actor,
      entry.action,
      entry.subject,
      entry.reason,
    ]);
    output.table(HEADERS, rows, 'no entries');
  });
}

function isWanted(entry: AuditEntry, { action, subject }: AuditListOptions): boolean {
  return entry.action.startsWith(action ?? '') && (subject === undefined || entry.subject === subject);
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = /^[1-9][0-9]{0,4}$/.test(text) ? Number(text) : undefined;
  if (limit !== undefined && limit <= LARGEST_LIMIT) return limit;
  throw new ClientError('usage', 'LIMIT', `--limit ${JSON.stringify(text)} is no number of entries`, {
    advice: `write a number from 1 to ${LARGEST_LIMIT}; for more, palyra audit export`,
  });
}
