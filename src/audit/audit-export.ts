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

/** A head that `palyra audit head` wrote, or the last line of an earlier export. */
const keptHeadSchema = headSchema.extend({ audit_key: hex(32).optional() });

/** What is kept elsewhere to hold later exports against: a head, and the key by which all of them are judged. */
export interface KeptHead {
  readonly head: SignedAuditHead;
  /** Ed25519, 32 bytes; `undefined` in the last line of an export, which vouches for no key. */
  readonly auditKey: Buffer | undefined;
}

/** What an export is made of: entries, then the head. */
export type AuditExportItem = { readonly entry: AuditEntry } | { readonly head: SignedAuditHead };

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
  return JSON.stringify(headFields(head));
}

/** The one line of a kept head, without its line end. `auditKey` is 32 bytes. */
export function formatKeptHead(head: SignedAuditHead, auditKey: Buffer): string {
  return JSON.stringify({ ...headFields(head), audit_key: auditKey.toString('hex') });
}

function headFields(head: SignedAuditHead): Record<string, unknown> {
  return {
    store_id: head.storeId.toString('hex'),
    epoch: head.epoch,
    sequence: head.sequence,
    hash: head.hash.toString('hex'),
    signature: head.signature.toString('hex'),
  };
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
 * Reads a line of an export that must be an entry. Throws `malformed` with the number of the line: `AUDIT_ENTRY_MALFORMED`,
 * or `AUDIT_LINE_MALFORMED` for what is no JSON.
 */
export function parseEntryLine(line: string, lineNumber: number): AuditEntry {
  return onLine(`Line ${lineNumber}`, () => parseEntry(parseJson(line)));
}

/** Reads the last line of an export, the head. Throws `malformed`: `AUDIT_HEAD_MALFORMED` or `AUDIT_LINE_MALFORMED`. */
export function parseHeadLine(line: string): SignedAuditHead {
  return onLine('The last line', () => parseHead(parseJson(line)));
}

/** Reads the last line of what was kept elsewhere: a kept head or an earlier export. Throws as {@link parseHeadLine}. */
export function parseKeptHeadLine(line: string): KeptHead {
  return onLine('The last line', () => {
    const result = keptHeadSchema.safeParse(parseJson(line));
    if (!result.success) throw unreadable('AUDIT_HEAD_MALFORMED', 'is no signed head', result.error);
    const { store_id: storeId, audit_key: auditKey, ...rest } = result.data;
    return { head: { ...rest, storeId }, auditKey };
  });
}

function onLine<T>(where: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    throw new DomainError(error.kind, error.reason, `${where} ${error.message}`, { cause: error.cause });
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
  return new DomainError('malformed', reason, `${what}: the file was altered, or is no audit export.`, {
    cause,
  });
}
