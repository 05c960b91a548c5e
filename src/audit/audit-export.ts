/** The file that `palyra audit export` writes: one JSON object a line, the entries in order, the signed head last. Pure. */
import { z } from 'zod';
import { DomainError } from '../errors/domain-error.js';
import type { AuditEntry } from './audit-entry.js';
import type { SignedAuditHead } from './audit-head.js';

const number = z.int().nonnegative();
const hex = (bytes: number): z.ZodType<Buffer, string> =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))
    .transform((text) => Buffer.from(text, 'hex'));

const entrySchema = z.strictObject({
  epoch: number,
  sequence: number.positive(),
  time_ms: number,
  actor: z.string(),
  source: z.string(),
  action: z.string(),
  subject: z.string(),
  reason: z.string(),
  details: z.string(),
  previous: hex(32),
  hash: hex(32),
});

const headSchema = z.strictObject({
  store_id: hex(16),
  epoch: number,
  sequence: number,
  hash: hex(32),
  signature: hex(64),
});

export interface AuditExport {
  readonly entries: readonly AuditEntry[];
  readonly head: SignedAuditHead;
}

/** One line, without its line end. */
export function formatEntry(entry: AuditEntry): string {
  const { epoch, sequence, timeMs, actor, source, action, subject, reason, details } = entry;
  const [previous, hash] = [entry.previous.toString('hex'), entry.hash.toString('hex')];
  return JSON.stringify({
    epoch,
    sequence,
    time_ms: timeMs,
    actor,
    source,
    action,
    subject,
    reason,
    details,
    previous,
    hash,
  });
}

/** One line, without its line end. */
export function formatHead(head: SignedAuditHead): string {
  return JSON.stringify({
    store_id: head.storeId.toString('hex'),
    epoch: head.epoch,
    sequence: head.sequence,
    hash: head.hash.toString('hex'),
    signature: head.signature.toString('hex'),
  });
}

/** Throws `malformed`, `AUDIT_ENTRY_MALFORMED`. */
export function parseEntry(value: unknown): AuditEntry {
  const result = entrySchema.safeParse(value);
  if (!result.success) throw unreadable('AUDIT_ENTRY_MALFORMED', 'is no audit entry', result.error);
  const { time_ms: timeMs, ...rest } = result.data;
  return { ...rest, timeMs };
}

/** Throws `malformed`, `AUDIT_HEAD_MALFORMED`. */
export function parseHead(value: unknown): SignedAuditHead {
  const result = headSchema.safeParse(value);
  if (!result.success) throw unreadable('AUDIT_HEAD_MALFORMED', 'is no signed head', result.error);
  const { store_id: storeId, ...rest } = result.data;
  return { ...rest, storeId };
}

/**
 * Reads a whole export. Throws `malformed` with the number of the line at fault: `AUDIT_ENTRY_MALFORMED`,
 * `AUDIT_HEAD_MALFORMED`, or `AUDIT_LINE_MALFORMED` for what is no JSON.
 */
export function parseExport(text: string): AuditExport {
  const lines = text.replace(/\n$/, '').split('\n');
  const last = lines.length - 1;
  const entries = lines.slice(0, last).map((line, index) => onLine(index, () => parseEntry(parseJson(line))));
  const head = onLine(last, () => parseHead(parseJson(lines[last] ?? '')));
  return { entries, head };
}

function onLine<T>(index: number, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    throw new DomainError(error.kind, error.reason, `Line ${index + 1}: ${error.message}`, {
      cause: error.cause,
    });
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw unreadable('AUDIT_LINE_MALFORMED', 'is no JSON', cause);
  }
}

function unreadable(reason: string, what: string, cause: unknown): DomainError {
  return new DomainError('malformed', reason, `This ${what}: export the audit log again.`, { cause });
}
