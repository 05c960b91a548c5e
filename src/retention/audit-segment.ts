import { createPublicKey } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import type { AuditEntry } from '../audit/audit-entry.js';
import { formatEntry, formatHead, parseEntryLine, parseHeadLine } from '../audit/audit-export.js';
import type { SignedAuditHead } from '../audit/audit-head.js';
import { ExportVerification } from '../audit/audit-verification.js';
import { DomainError } from '../errors/domain-error.js';
import { systemErrorCode } from '../errors/system-error-code.js';
import { replaceFile } from '../secret-store/atomic-file.js';

/** Digits of a sequence in a file name, so that names sort as their segments do. */
const DIGITS = 12;

/**
 * `audit-1764000000000-000000000001-000000010000.jsonl`: the epoch of its last entry, the sequences of its first and last.
 * With the epoch, what a restored store writes never takes the place of what the lost one has written.
 */
export function segmentFileName(first: Place, last: Place): string {
  const [epoch, from, to] = [last.epoch, first.sequence, last.sequence].map(padded);
  return `audit-${String(epoch)}-${String(from)}-${String(to)}.jsonl`;
}

type Place = Pick<AuditEntry, 'epoch' | 'sequence'>;

const padded = (number: number): string => String(number).padStart(DIGITS, '0');

/** What `palyra audit export` writes: the entries in order, their signed head last. */
export function segmentText(entries: readonly AuditEntry[], head: SignedAuditHead): string {
  return [...entries.map(formatEntry), formatHead(head), ''].join('\n');
}

/**
 * Writes a segment, durably. One that is there already, from a round that was cut off, is written anew and must say the same:
 * what was taken out of the log once is not put in again, so whoever finds it there has another history. Throws `corrupt`
 * AUDIT_SEGMENT_DIFFERS, and leaves what is there.
 */
export async function writeSegment(path: string, text: string): Promise<void> {
  const before = await readFile(path, 'utf8').catch(absent);
  if (before !== undefined && before !== text) {
    throw new DomainError(
      'corrupt',
      'AUDIT_SEGMENT_DIFFERS',
      `the audit segment ${path} is there already and says something else than the log, so nothing is removed; keep both, and find out which was changed`,
    );
  }
  await replaceFile(path, Buffer.from(text));
}

function absent(error: unknown): undefined {
  if (systemErrorCode(error) !== 'ENOENT') throw error;
}

/** What a segment is judged by. `before` is the head of what came before it; `null` for the first one. */
export interface SegmentTrust {
  /** SPKI, DER. */
  readonly auditKey: Buffer;
  readonly storeId: Buffer;
  readonly before: SignedAuditHead | null;
}

/**
 * Reads a segment back from the disk and verifies it as anybody would, before its entries go. Throws `corrupt`
 * AUDIT_SEGMENT_DAMAGED.
 */
export async function requireSegment(path: string, last: number, trust: SegmentTrust): Promise<void> {
  const handle = await open(path, 'r');
  try {
    const lines = (await handle.readFile('utf8')).trimEnd().split('\n');
    const head = parseHeadLine(lines.pop() ?? '');
    const auditKey = createPublicKey({ key: trust.auditKey, format: 'der', type: 'spki' });
    const verification = new ExportVerification(head, {
      auditKey,
      storeId: trust.storeId,
      since: trust.before,
    });
    for (const [index, line] of lines.entries()) verification.take(parseEntryLine(line, index + 1));
    const [finding] = verification.findings();
    if (finding !== undefined || head.sequence !== last) throw new Error(finding?.finding ?? 'another head');
  } catch (cause) {
    throw new DomainError(
      'corrupt',
      'AUDIT_SEGMENT_DAMAGED',
      `the audit segment ${path} does not verify, so nothing is removed; look at the disk, and verify the audit log`,
      { cause },
    );
  } finally {
    await handle.close();
  }
}
