import type { KeptHead } from '../../audit/audit-export.js';
import type { AuditHead } from '../../audit/audit-head.js';
import {
  type AuditFinding,
  type AuditFindingKind,
  ExportVerification,
  type VerificationTrust,
} from '../../audit/audit-verification.js';
import { ClientError } from '../../client/client-error.js';
import { DomainError } from '../../errors/domain-error.js';
import type { CliContext } from '../cli-context.js';
import type { JsonOptions } from '../command-options.js';
import { counted } from '../terminal/counted.js';
import type { Output } from '../terminal/output.js';
import { ExportFile, readKeptHead } from './export-file.js';
import { readAuditKey, readStoreId } from './trust-options.js';

export interface VerifyOptions extends JsonOptions {
  readonly since?: string;
  readonly key?: string;
  readonly store?: string;
}

const MEANING: Record<AuditFindingKind, string> = {
  changed: 'the entry was changed, or the next one or a head names another',
  removed: 'the entry, and perhaps some after it, is missing',
  cut: 'the end is missing from this entry on',
  reordered: 'the entry stands behind one with a higher number',
  repeated: 'the entry is there twice',
  epoch_fell: 'the epoch is lower than before',
  head_signature: 'the head is not signed by the audit key',
  other_store: 'the head is of another store',
  unwitnessed: 'the entry stands behind the head',
};

/** `palyra audit verify`: throws `failed` when anything is found, and for a file that is no whole export. */
export async function verifyAudit(context: CliContext, path: string, options: VerifyOptions): Promise<void> {
  const output = context.output(options);
  const since = options.since === undefined ? undefined : await readKeptHead(options.since);
  const auditKey = readAuditKey(options.key, since?.auditKey);
  const storeId = options.store === undefined ? since?.head.storeId : readStoreId(options.store);
  const result = await examine(path, ({ storeId: shown }) => ({
    auditKey,
    // With neither, the signature alone says which store it is: an audit key signs for one.
    storeId: storeId ?? shown,
    since: since?.head ?? null,
  }));
  show(output, result, since);
  if (result.findings.length === 0) return;
  throw new ClientError(
    'failed',
    'AUDIT_FINDINGS',
    `${path} does not verify: ${countText(result.findings)}`,
    {
      advice: 'keep the file and the data directory as they are; docs/operations.md says how to go on',
    },
  );
}

interface Examined {
  readonly head: AuditHead;
  readonly entries: number;
  readonly findings: readonly AuditFinding[];
}

async function examine(path: string, trustOf: (head: AuditHead) => VerificationTrust): Promise<Examined> {
  let file: ExportFile | undefined;
  try {
    file = await ExportFile.open(path);
    const verification = new ExportVerification(file.head, trustOf(file.head));
    let entries = 0;
    for await (const entry of file.entries()) {
      verification.take(entry);
      entries += 1;
    }
    return { head: file.head, entries, findings: verification.findings() };
  } catch (error) {
    // Not wrong use: the file that was to be verified does not hold.
    if (error instanceof DomainError) {
      throw new ClientError('failed', error.reason, `${path}: ${error.message}`, { cause: error });
    }
    throw error;
  } finally {
    await file?.close();
  }
}

function show(output: Output, { head, entries, findings }: Examined, since: KeptHead | undefined): void {
  output.object({
    verified: findings.length === 0,
    entries,
    head: headObject(head),
    since: since === undefined ? null : headObject(since.head),
    findings,
  });
  if (findings.length > 0) {
    const rows = findings.map(({ finding, sequence }) => [String(sequence), finding, MEANING[finding]]);
    output.table(['SEQUENCE', 'FINDING', 'MEANS'], rows, '');
    return;
  }
  output.fields([
    ['verified', `${counted(entries, 'entry', 'entries')} up to sequence ${head.sequence}`],
    ['store', head.storeId.toString('hex')],
    ['epoch, sequence', `${head.epoch}, ${head.sequence}`],
    ['older head', since === undefined ? 'none given' : `sequence ${since.head.sequence}`],
  ]);
  if (since !== undefined) return;
  output.line(
    'without an older head (--since), an export that was put back or made anew verifies all the same',
  );
}

function headObject({ storeId, epoch, sequence, hash }: AuditHead): object {
  return { store: storeId.toString('hex'), epoch, sequence, hash: hash.toString('hex') };
}

function countText({ length }: readonly AuditFinding[]): string {
  return length === 1 ? '1 finding' : `${length} findings`;
}
