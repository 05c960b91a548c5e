/** The hash chain of the audit log (docs/protocol.md, "Audit"). Pure. */
import { createHash } from 'node:crypto';
import { enc } from '../encoding/canonical.js';
import { DomainError } from '../errors/domain-error.js';
import type { AuditEntry, AuditEvent } from './audit-entry.js';

const ENTRY_LABEL = 'palyra-audit-v1';

/** What the first entry names as its `previous`: 32 zero bytes. */
export const NO_PREVIOUS_HASH: Buffer = Buffer.alloc(32);

/** Where a chain ends, and goes on. */
export interface ChainEnd {
  /** Sequence of the last entry; 0 before the first. */
  readonly sequence: number;
  readonly hash: Buffer;
  /** The highest time of any entry, Unix milliseconds. */
  readonly highestTimeMs: number;
}

export const EMPTY_CHAIN: ChainEnd = { sequence: 0, hash: NO_PREVIOUS_HASH, highestTimeMs: 0 };

/** An event whose texts were checked and whose details are fixed as JSON; it only lacks its place in the chain. */
export interface RecordedEvent {
  readonly actor: string;
  readonly source: string;
  readonly action: string;
  readonly subject: string;
  readonly reason: string;
  readonly details: string;
}

/**
 * Fixes an event as it will be hashed. Throws `malformed`, `AUDIT_TEXT_INVALID`, for text that has no canonical form,
 * so that the unit of work fails where the text came in and not when it ends.
 */
export function recordEvent(event: AuditEvent): RecordedEvent {
  const recorded = {
    actor: event.actor,
    source: event.source,
    action: event.action,
    subject: event.subject,
    reason: event.reason ?? '',
    details: JSON.stringify(event.details ?? {}),
  };
  for (const [field, text] of Object.entries(recorded)) {
    if (!text.isWellFormed() || text.includes('\u0000')) {
      throw new DomainError(
        'malformed',
        'AUDIT_TEXT_INVALID',
        `The ${field} holds a lone surrogate or U+0000: leave these characters out.`,
      );
    }
  }
  return recorded;
}

/** The next entry behind `end`. */
export function chainEntry(end: ChainEnd, epoch: number, timeMs: number, event: RecordedEvent): AuditEntry {
  const unhashed = { epoch, sequence: end.sequence + 1, timeMs, ...event, previous: end.hash };
  return { ...unhashed, hash: entryHash(unhashed) };
}

/** Where the chain ends once `entry` stands behind `end`. */
export function chainEndAfter(end: ChainEnd, entry: AuditEntry): ChainEnd {
  return {
    sequence: entry.sequence,
    hash: entry.hash,
    highestTimeMs: Math.max(end.highestTimeMs, entry.timeMs),
  };
}

/** SHA-256 over the canonical encoding of everything but the hash itself. Throws `CanonicalEncodingError`. */
export function entryHash(entry: Omit<AuditEntry, 'hash'>): Buffer {
  return createHash('sha256').update(entryPreimage(entry)).digest();
}

/** What the hash of an entry is over. */
export function entryPreimage(entry: Omit<AuditEntry, 'hash'>): Buffer {
  return enc(
    ENTRY_LABEL,
    entry.epoch,
    entry.sequence,
    entry.timeMs,
    entry.actor,
    entry.source,
    entry.action,
    entry.subject,
    entry.reason,
    entry.details,
    entry.previous,
  );
}
