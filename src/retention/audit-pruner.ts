import { join } from 'node:path';
import type { AuditEntry } from '../audit/audit-entry.js';
import { AuditEntryRow } from '../audit/audit.entity.js';
import type { Store } from '../database/open-store.js';
import { requirePrivateDirectory } from '../secret-store/private-file.js';
import { requireSegment, segmentFileName, segmentText, writeSegment } from './audit-segment.js';
import type { Pruner } from './pruner.js';

/** Entries of one file, at most. */
const SEGMENT_ENTRIES = 10_000;
/** Entries that are read, or removed, at a time. */
const BATCH = 500;

export interface AuditPrunerParts {
  readonly store: Pick<Store, 'storeId' | 'auditLog' | 'unitOfWork'>;
  /** Where segments go; made if it is not there, 0700. */
  readonly directory: string;
  readonly keptForMs: number;
  readonly segmentEntries?: number;
}

/**
 * Moves old audit entries into files. A segment is written, flushed, read back and verified before the first of its
 * entries goes; killed in between, the next round writes the same file again. The last entry of the log always stays.
 */
export class AuditPruner implements Pruner {
  readonly what = 'audit_entries';
  readonly keptForMs: number;
  readonly #segmentEntries: number;

  constructor(private readonly parts: AuditPrunerParts) {
    this.keptForMs = parts.keptForMs;
    this.#segmentEntries = parts.segmentEntries ?? SEGMENT_ENTRIES;
  }

  async due(now: number): Promise<number> {
    let count = 0;
    const { sequence: newest } = await this.parts.store.auditLog.head();
    for await (const page of this.oldEntries(now, newest)) count += page.length;
    return count;
  }

  async prune(now: number, mayGoOn: () => boolean): Promise<number> {
    let count = 0;
    const { sequence: newest } = await this.parts.store.auditLog.head();
    for (;;) {
      if (!mayGoOn()) return count;
      const entries = await this.nextSegment(now, newest);
      const [first, last] = [entries[0], entries.at(-1)];
      if (first === undefined || last === undefined || !this.isWorthwhile(now, entries.length, first))
        return count;
      await this.export(entries, first, last);
      const removed = await this.remove(first, last, mayGoOn);
      count += removed;
      if (removed < entries.length) return count;
    }
  }

  /** A file a day at most while little happens: what is old waits until it is a tenth older, or fills a segment. */
  private isWorthwhile(now: number, count: number, { timeMs }: AuditEntry): boolean {
    return count === this.#segmentEntries || timeMs <= now - this.keptForMs * 1.1;
  }

  private async nextSegment(now: number, newest: number): Promise<AuditEntry[]> {
    const entries: AuditEntry[] = [];
    for await (const page of this.oldEntries(now, newest)) {
      entries.push(...page);
      if (entries.length >= this.#segmentEntries) break;
    }
    return entries.slice(0, this.#segmentEntries);
  }

  /** From the first entry on, as long as they are old enough and before the newest, by which the chain goes on. */
  private async *oldEntries(now: number, newest: number): AsyncGenerator<AuditEntry[]> {
    const { auditLog } = this.parts.store;
    const before = now - this.keptForMs;
    let after = 0;
    for (;;) {
      const page = await auditLog.entries({ after, limit: BATCH });
      const young = page.findIndex(({ timeMs, sequence }) => timeMs > before || sequence >= newest);
      const old = young < 0 ? page : page.slice(0, young);
      if (old.length > 0) yield old;
      const last = old.at(-1);
      if (young >= 0 || last === undefined) return;
      after = last.sequence;
    }
  }

  private async export(entries: readonly AuditEntry[], first: AuditEntry, last: AuditEntry): Promise<void> {
    const { auditLog, storeId } = this.parts.store;
    await requirePrivateDirectory(this.parts.directory);
    const path = this.pathOf(first, last);
    await writeSegment(path, segmentText(entries, await auditLog.headAt(last)));
    const before =
      first.sequence === 1
        ? null
        : await auditLog.headAt({ epoch: first.epoch, sequence: first.sequence - 1, hash: first.previous });
    await requireSegment(path, last.sequence, { auditKey: await auditLog.publicKey(), storeId, before });
  }

  private pathOf(first: AuditEntry, last: AuditEntry): string {
    return join(this.parts.directory, segmentFileName(first, last));
  }

  private async remove(first: AuditEntry, last: AuditEntry, mayGoOn: () => boolean): Promise<number> {
    let removed = 0;
    for (let from = first.sequence; from <= last.sequence; from += BATCH) {
      if (!mayGoOn()) return removed;
      const through = Math.min(from + BATCH - 1, last.sequence);
      await this.parts.store.unitOfWork.run(async ({ tables, audit }) => {
        await tables
          .createQueryBuilder()
          .delete()
          .from(AuditEntryRow)
          .where('sequence <= :through', { through })
          .execute();
        if (from !== first.sequence) return;
        audit.append({
          actor: 'system',
          source: 'local',
          action: 'audit.segment_exported',
          subject: 'audit',
          details: {
            file: segmentFileName(first, last),
            first: first.sequence,
            last: last.sequence,
            hash: last.hash.toString('hex'),
          },
        });
      });
      removed += through - from + 1;
    }
    return removed;
  }
}
