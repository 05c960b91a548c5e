/** Audit entries and heads on the wire. */
import type {
  AuditEntry as EntryMessage,
  SignedAuditHead as HeadMessage,
} from '../generated/palyra/controlplane/v1/audit.js';
import type { ExportAuditResponse } from '../generated/palyra/controlplane/v1/control_plane.js';
import type { AuditEntry } from './audit-entry.js';
import type { AuditExportItem } from './audit-export.js';
import type { SignedAuditHead } from './audit-head.js';

export function exportItemToProto(item: AuditExportItem): ExportAuditResponse {
  if ('entry' in item) return { item: { $case: 'entry', value: entryToProto(item.entry) } };
  return { item: { $case: 'head', value: headToProto(item.head) } };
}

/** `undefined` for what a later version may send. */
export function exportItemFromProto({ item }: ExportAuditResponse): AuditExportItem | undefined {
  switch (item?.$case) {
    case 'entry':
      return { entry: entryFromProto(item.value) };
    case 'head':
      return { head: headFromProto(item.value) };
    case undefined:
      return undefined;
  }
}

function entryToProto(entry: AuditEntry): EntryMessage {
  return {
    epoch: BigInt(entry.epoch),
    sequence: BigInt(entry.sequence),
    timeMs: BigInt(entry.timeMs),
    actor: entry.actor,
    source: entry.source,
    action: entry.action,
    subject: entry.subject,
    reason: entry.reason,
    details: entry.details,
    previous: entry.previous,
    hash: entry.hash,
  };
}

function entryFromProto({ epoch, sequence, timeMs, ...rest }: EntryMessage): AuditEntry {
  return { ...rest, epoch: Number(epoch), sequence: Number(sequence), timeMs: Number(timeMs) };
}

function headToProto({ storeId, epoch, sequence, hash, signature }: SignedAuditHead): HeadMessage {
  return { storeId, epoch: BigInt(epoch), sequence: BigInt(sequence), hash, signature };
}

function headFromProto({ epoch, sequence, ...rest }: HeadMessage): SignedAuditHead {
  return { ...rest, epoch: Number(epoch), sequence: Number(sequence) };
}
