import type { Unit } from '../../database/unit-of-work.js';
import type { CrlEntry } from './crl-writer.js';
import { CrlRow, RevocationRow } from './revocation.entity.js';

type Tables = { readonly tables: Unit['tables'] };

/** Number of the issuer's last revocation; 0 when there is none. One look-up in an index. */
export async function lastRevocation(view: Tables, issuerKeyId: string): Promise<number> {
  const row = await view.tables
    .createQueryBuilder(RevocationRow, 'revocation')
    .select('MAX(revocation.number)', 'last')
    .where('revocation.issuerKeyId = :issuerKeyId', { issuerKeyId })
    .getRawOne<{ last: number | string | null }>();
  return Number(row?.last ?? 0);
}

/**
 * Gives out the number of the issuer's next list. It never falls: the time comes into it, so that it goes on rising where
 * an older store was put back.
 */
export async function nextCrlNumber(unit: Unit, issuerKeyId: string, now: number): Promise<number> {
  const row = await unit.tables.findOneBy(CrlRow, { issuerKeyId });
  const number = Math.max((row?.number ?? 0) + 1, now);
  await unit.tables.upsert(CrlRow, { issuerKeyId, number }, ['issuerKeyId']);
  return number;
}

export interface RevocationRange {
  readonly issuerKeyId: string;
  /** Exclusive. */
  readonly after: number;
  /** Inclusive. */
  readonly through: number;
  /** Certificates that expired before this are left out, Unix milliseconds. */
  readonly expiringFrom: number;
}

/** Read at once; between two of them other work gets its turn. */
const CHUNK = 1000;

interface RawRevocation {
  readonly number: number;
  readonly serial: string;
  readonly revoked_at: number | string;
  readonly reason_code: number | null;
}

/** The issuer's revocations in their order, some at a time. */
export async function* revocationsOf(view: Tables, range: RevocationRange): AsyncGenerator<CrlEntry[]> {
  let { after } = range;
  for (;;) {
    const rows = await chunk(view, { ...range, after });
    if (rows.length > 0) yield rows.map(entryOf);
    after = rows.at(-1)?.number ?? range.through;
    if (rows.length < CHUNK) return;
    await new Promise(setImmediate);
  }
}

function chunk(
  view: Tables,
  { issuerKeyId, after, through, expiringFrom }: RevocationRange,
): Promise<RawRevocation[]> {
  // Plain rows: a hundred thousand entities take a second to make.
  return view.tables
    .createQueryBuilder(RevocationRow, 'revocation')
    .select('revocation.number', 'number')
    .addSelect('revocation.serial', 'serial')
    .addSelect('revocation.revokedAt', 'revoked_at')
    .addSelect('revocation.reasonCode', 'reason_code')
    .where('revocation.issuerKeyId = :issuerKeyId', { issuerKeyId })
    .andWhere('revocation.number > :after AND revocation.number <= :through', { after, through })
    .andWhere('revocation.expiresAt >= :expiringFrom', { expiringFrom })
    .orderBy('revocation.number')
    .limit(CHUNK)
    .getRawMany<RawRevocation>();
}

const entryOf = ({ serial, revoked_at, reason_code }: RawRevocation): CrlEntry => ({
  serial: Buffer.from(serial, 'hex'),
  revokedAt: Number(revoked_at),
  reasonCode: reason_code ?? undefined,
});
