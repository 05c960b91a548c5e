import type { KeyObject } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import type { CommittedReader } from '../database/unit-of-work.js';
import { DomainError } from '../errors/domain-error.js';
import type { AuditEntry } from './audit-entry.js';
import type { AuditExportItem } from './audit-export.js';
import type { SignedAuditHead } from './audit-head.js';
import { signHead } from './audit-head.js';
import { AUDIT_KEY_NAME, auditPublicKey, readAuditKeyRecord } from './audit-key.js';
import { AuditEntryRow } from './audit.entity.js';

const EXPORT_PAGE = 500;

/** The committed audit log: pages of it, its signed head, and exports. */
export class AuditLog {
  constructor(
    private readonly committed: CommittedReader,
    private readonly storeId: Buffer,
  ) {}

  /** Entries behind sequence `after`, ascending, at most `limit`. */
  async entries(options: { readonly after: number; readonly limit: number }): Promise<AuditEntry[]> {
    return this.committed.tables
      .createQueryBuilder(AuditEntryRow, 'entry')
      .where('entry.sequence > :after', { after: options.after })
      .orderBy('entry.sequence', 'ASC')
      .limit(options.limit)
      .getMany();
  }

  /** The last committed entry, signed. */
  async head(): Promise<SignedAuditHead> {
    const last = await lastAuditEntry(this.committed.tables);
    if (last === null) throw missing('The audit log is empty');
    return this.headAt(last);
  }

  /** A head for an entry that was read from this log, or for the one before it. */
  async headAt({
    epoch,
    sequence,
    hash,
  }: Pick<AuditEntry, 'epoch' | 'sequence' | 'hash'>): Promise<SignedAuditHead> {
    return signHead({ storeId: this.storeId, epoch, sequence, hash }, await this.privateKey());
  }

  /** Entries behind `after` up to now, page by page as they are taken, then the signed head. */
  async *export(
    options: { readonly after: number } = { after: 0 },
  ): AsyncGenerator<AuditExportItem, void, undefined> {
    // The head comes first, so that everything up to it is there, however much is added meanwhile.
    const head = await this.head();
    let after = options.after;
    while (after < head.sequence) {
      const limit = Math.min(EXPORT_PAGE, head.sequence - after);
      const page = await this.entries({ after, limit });
      for (const entry of page) yield { entry };
      const last = page.at(-1);
      if (last === undefined) break;
      after = last.sequence;
    }
    yield { head };
  }

  /** The Ed25519 public key that heads are judged by: SPKI, DER. */
  async publicKey(): Promise<Buffer> {
    return auditPublicKey(await this.privateKey());
  }

  private async privateKey(): Promise<KeyObject> {
    const record = await this.committed.secrets.read(AUDIT_KEY_NAME);
    if (record === undefined) throw missing('The audit key is missing');
    return readAuditKeyRecord(record);
  }
}

/** The entry with the highest sequence; `null` before the first. */
export async function lastAuditEntry(tables: EntityManager): Promise<AuditEntry | null> {
  return tables
    .createQueryBuilder(AuditEntryRow, 'entry')
    .orderBy('entry.sequence', 'DESC')
    .limit(1)
    .getOne();
}

function missing(what: string): DomainError {
  return new DomainError('corrupt', 'AUDIT_LOG_DAMAGED', `${what}: restore the store from a backup.`);
}
