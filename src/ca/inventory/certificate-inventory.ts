import type { SelectQueryBuilder } from 'typeorm';
import type { CommittedReader } from '../../database/unit-of-work.js';
import { malformed } from '../../errors/domain-error.js';
import { DeviceRow } from '../../identity/device.entity.js';
import type { Clock } from '../../time/clock.js';
import { CertificateRow } from '../certificate.entity.js';

export type CertificateState = 'valid' | 'expired' | 'revoked';

export const CERTIFICATE_STATES: readonly CertificateState[] = ['valid', 'expired', 'revoked'];

/** Which certificates; times in Unix milliseconds. */
export interface InventoryFilter {
  /** For example `device/01K9…`. */
  readonly subjectId?: string | undefined;
  readonly state?: CertificateState | undefined;
  /** Inclusive. */
  readonly expiresFrom?: number | undefined;
  /** Exclusive. */
  readonly expiresBefore?: number | undefined;
}

export interface InventoryPageRequest {
  readonly limit: number;
  /** Of the last certificate of the page before. */
  readonly cursor?: string | undefined;
}

/** A row of the index, without its PEM. */
export type InventoryItem = Omit<CertificateRow, 'pem' | 'keyHash'> & {
  readonly state: CertificateState;
  /** The newest of its device. */
  readonly current: boolean;
};

export interface InventoryPage {
  readonly certificates: readonly InventoryItem[];
  /** Cursor of the last one when there are more. */
  readonly next: string | undefined;
}

export type InventoryCounts = Readonly<Record<CertificateState, number>>;

type Query = SelectQueryBuilder<CertificateRow>;

const COLUMNS = [
  'sequence',
  'fingerprint',
  'serial',
  'issuerKeyId',
  'profile',
  'subjectId',
  'subject',
  'issuedAt',
  'expiresAt',
  'revokedAt',
] as const;

/**
 * Everything that was issued, what ends first in front. Each page is a walk in an index, as long as the page; of certificates
 * only their index is read, which grants nothing.
 */
export class CertificateInventory {
  constructor(
    private readonly committed: CommittedReader,
    private readonly clock: Clock,
  ) {}

  /** Throws `malformed` INVALID_PAGE for a cursor that is none. */
  async list(filter: InventoryFilter, { limit, cursor }: InventoryPageRequest): Promise<InventoryPage> {
    const now = this.clock.now();
    const query = this.query(filter, now)
      .select(COLUMNS.map((column) => `certificate.${column}`))
      .orderBy('certificate.expiresAt')
      .addOrderBy('certificate.sequence')
      .limit(limit + 1);
    if (cursor !== undefined) {
      query.andWhere('(certificate.expiresAt, certificate.sequence) > (:end, :sequence)', readCursor(cursor));
    }
    const rows = await query.getMany();
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      certificates: await this.items(page, now),
      next: rows.length > limit && last ? `${last.expiresAt}x${last.sequence}` : undefined,
    };
  }

  /** By state; the filter's own state does not count. */
  async count(filter: InventoryFilter): Promise<InventoryCounts> {
    const now = this.clock.now();
    const countOf = (state: CertificateState): Promise<number> =>
      this.query({ ...filter, state }, now).getCount();
    return {
      valid: await countOf('valid'),
      expired: await countOf('expired'),
      revoked: await countOf('revoked'),
    };
  }

  /** When the first of the devices' newest certificates ends that has not yet, Unix milliseconds. One look-up. */
  async nextDeviceExpiry(): Promise<number | undefined> {
    const row = await this.committed.tables
      .createQueryBuilder(DeviceRow, 'device')
      .select(['device.deviceId', 'device.certificateExpiresAt'])
      .where("device.state = 'active' AND device.certificateExpiresAt > :now", { now: this.clock.now() })
      .orderBy('device.certificateExpiresAt')
      .limit(1)
      .getOne();
    return row?.certificateExpiresAt ?? undefined;
  }

  private query({ subjectId, state, expiresFrom, expiresBefore }: InventoryFilter, now: number): Query {
    const query = this.committed.tables.createQueryBuilder(CertificateRow, 'certificate').where('1 = 1');
    if (subjectId !== undefined) query.andWhere('certificate.subjectId = :subjectId', { subjectId });
    if (expiresFrom !== undefined) query.andWhere('certificate.expiresAt >= :expiresFrom', { expiresFrom });
    if (expiresBefore !== undefined)
      query.andWhere('certificate.expiresAt < :expiresBefore', { expiresBefore });
    if (state !== undefined) inState(query, state, now);
    return query;
  }

  private async items(rows: readonly CertificateRow[], now: number): Promise<InventoryItem[]> {
    const newest = await this.newestOf(rows);
    return rows.map(({ pem: _pem, keyHash: _keyHash, ...row }) => ({
      ...row,
      state: stateOf(row, now),
      current: newest.has(row.fingerprint),
    }));
  }

  /** Fingerprints of the newest certificates of the devices that these are of. */
  private async newestOf(rows: readonly CertificateRow[]): Promise<Set<string | null>> {
    const deviceIds = new Set(rows.flatMap(({ subjectId }) => /^device\/(.+)$/.exec(subjectId)?.[1] ?? []));
    if (deviceIds.size === 0) return new Set();
    const devices = await this.committed.tables
      .createQueryBuilder(DeviceRow, 'device')
      .select('device.certificateFingerprint', 'newest')
      .where('device.deviceId IN (:...deviceIds)', { deviceIds: [...deviceIds] })
      .getRawMany<{ newest: string | null }>();
    return new Set(devices.map(({ newest }) => newest));
  }
}

/** Revoked counts for more than expired. A certificate's last moment belongs to its validity. */
function stateOf(
  { revokedAt, expiresAt }: Pick<CertificateRow, 'revokedAt' | 'expiresAt'>,
  now: number,
): CertificateState {
  if (revokedAt !== null) return 'revoked';
  return expiresAt < now ? 'expired' : 'valid';
}

/** The same in SQL. Each of them is the condition of a partial index, or a range in it. */
function inState(query: Query, state: CertificateState, now: number): void {
  if (state === 'revoked') query.andWhere('certificate.revokedAt IS NOT NULL');
  else {
    query.andWhere('certificate.revokedAt IS NULL');
    query.andWhere(`certificate.expiresAt ${state === 'valid' ? '>=' : '<'} :now`, { now });
  }
}

function readCursor(cursor: string): { end: number; sequence: number } {
  const [, end, sequence] = /^(\d{1,15})x(\d{1,15})$/.exec(cursor) ?? [];
  if (end !== undefined && sequence !== undefined) return { end: Number(end), sequence: Number(sequence) };
  throw malformed('INVALID_PAGE', 'page_token is not one that this service gave out');
}
