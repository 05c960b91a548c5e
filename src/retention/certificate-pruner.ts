import { CertificateRow } from '../ca/certificate.entity.js';
import type { CommittedReader, Unit, UnitOfWork } from '../database/unit-of-work.js';
import { certificatesOf, readIdentity } from '../identity/enrolment.js';
import { isDeviceId } from '../identity/device-id.js';
import { PairingRequestRow } from '../pairing/pairing.entity.js';
import type { SecretReader } from '../secret-store/secret-store.js';
import type { Pruner } from './pruner.js';

/** Leaves only: a root outlives all that it signed, and there are few. */
const PRUNABLE = ['device', 'control-plane'];
/** Rows that one unit of work looks at. */
const BATCH = 200;

interface View {
  readonly tables: Unit['tables'];
  readonly secrets: SecretReader;
}

/** Where the next batch begins: expiry and sequence of the last row that was looked at. */
interface Cursor {
  readonly expiresAt: number;
  readonly sequence: number;
}

/**
 * Removes expired certificates from the index. Two kinds stay whatever their age: those that a sealed identity lists as
 * current or previous, since by their rows a key is known to belong to that device (KEY_IN_USE), and those that the row
 * of a pairing request names.
 */
export class CertificatePruner implements Pruner {
  readonly what = 'certificates';

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly committed: CommittedReader,
    readonly keptForMs: number,
  ) {}

  async due(now: number): Promise<number> {
    let count = 0;
    let cursor: Cursor | undefined;
    do {
      const rows = await this.batch(this.committed, now, cursor);
      count += (await dispensable(this.committed, rows)).length;
      cursor = rows.length === BATCH ? rows.at(-1) : undefined;
    } while (cursor !== undefined);
    return count;
  }

  async prune(now: number, mayGoOn: () => boolean): Promise<number> {
    let count = 0;
    let cursor: Cursor | undefined;
    do {
      if (!mayGoOn()) return count;
      const { rows, removed } = await this.unitOfWork.run((unit) => this.pruneBatch(unit, now, cursor));
      count += removed;
      cursor = rows.length === BATCH ? rows.at(-1) : undefined;
    } while (cursor !== undefined);
    return count;
  }

  private async pruneBatch(
    unit: Unit,
    now: number,
    cursor: Cursor | undefined,
  ): Promise<{ rows: CertificateRow[]; removed: number }> {
    const rows = await this.batch(unit, now, cursor);
    const gone = await dispensable(unit, rows);
    if (gone.length === 0) return { rows, removed: 0 };
    await unit.tables.delete(
      CertificateRow,
      gone.map(({ sequence }) => sequence),
    );
    unit.audit.append({
      actor: 'system',
      source: 'local',
      action: 'store.pruned',
      subject: 'certificates',
      details: { count: gone.length, expired_before_ms: now - this.keptForMs },
    });
    return { rows, removed: gone.length };
  }

  private batch({ tables }: View, now: number, cursor: Cursor | undefined): Promise<CertificateRow[]> {
    const query = tables
      .createQueryBuilder(CertificateRow, 'certificate')
      .where('certificate.expiresAt <= :before', { before: now - this.keptForMs })
      .andWhere('certificate.profile IN (:...profiles)', { profiles: PRUNABLE })
      .orderBy('certificate.expiresAt', 'ASC')
      .addOrderBy('certificate.sequence', 'ASC')
      .limit(BATCH);
    if (cursor !== undefined) {
      query.andWhere(
        '(certificate.expiresAt > :expiresAt OR (certificate.expiresAt = :expiresAt AND certificate.sequence > :sequence))',
        { expiresAt: cursor.expiresAt, sequence: cursor.sequence },
      );
    }
    return query.getMany();
  }
}

/** Of these rows, those that nothing refers to. */
async function dispensable(view: View, rows: readonly CertificateRow[]): Promise<CertificateRow[]> {
  if (rows.length === 0) return [];
  const fingerprints = rows.map(({ fingerprint }) => fingerprint);
  const requests = await view.tables
    .createQueryBuilder(PairingRequestRow, 'request')
    .where('request.certificateFingerprint IN (:...fingerprints)', { fingerprints })
    .getMany();
  const named = new Set(requests.map(({ certificateFingerprint }) => certificateFingerprint));
  const gone: CertificateRow[] = [];
  for (const row of rows) {
    if (!named.has(row.fingerprint) && !(await isListed(view.secrets, row))) gone.push(row);
  }
  return gone;
}

/** Whether the sealed identity of its device still lists it; the row itself is not believed. */
async function isListed(secrets: SecretReader, { subjectId, fingerprint }: CertificateRow): Promise<boolean> {
  const [kind, deviceId = ''] = subjectId.split('/');
  if (kind !== 'device' || !isDeviceId(deviceId)) return false;
  const identity = await readIdentity(secrets, deviceId);
  return identity !== undefined && certificatesOf(identity).includes(fingerprint);
}
