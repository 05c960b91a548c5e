import type { CommittedReader, Unit, UnitOfWork } from '../database/unit-of-work.js';
import { withoutCertificate } from '../identity/certificate-succession.js';
import { readIdentity, withdrawIdentity, writeIdentity } from '../identity/enrolment.js';
import type { ServiceHolds } from '../service-holds/service-holds.js';
import type { Clock } from '../time/clock.js';
import { codeRecordName, requestRecordName } from './pairing-record.js';
import { PairingCodeRow, PairingRequestRow, PairingTryRow } from './pairing.entity.js';
import type { PairingObserver } from './pairing-observer.js';
import type { RequestChanges } from './request-changes.js';
import { TRIES_PER_PIN, TRY_ROW_LIFE_MS } from './tries.js';

/** How often it runs, milliseconds. */
export const HOUSEKEEPING_INTERVAL_MS = 60_000;
/** How long a decided or expired request keeps its row, milliseconds. */
export const DECIDED_REQUEST_LIFE_MS = 30 * 86_400_000;
/** How long a handshake that spent the last try may still need the code, milliseconds. */
const SPENT_CODE_GRACE_MS = 60_000;
/** Rows that one unit of work takes on, so that others do not wait long behind it. */
const BATCH = 200;

export interface HousekeepingParts {
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
  readonly clock: Clock;
  readonly changes: RequestChanges;
  readonly observer: PairingObserver;
  /** What may stop removal; by default nothing does. */
  readonly holds?: ServiceHolds;
}

/**
 * Removes what has ended without a request having to come by: codes, tries, requests, and certificates that were
 * approved and never collected. Also writes the audit entries of tries, which the handshake's path must not.
 */
export class PairingHousekeeping {
  constructor(private readonly parts: HousekeepingParts) {}

  /** One round; runs at start and then every {@link HOUSEKEEPING_INTERVAL_MS}. */
  async run(): Promise<void> {
    await this.auditTries();
    if (!this.mayPrune()) return;
    await this.repeat((now) => this.endCodes(now));
    await this.repeat((now) => this.expireRequests(now));
    await this.repeat((now) => this.forgetDecided(now));
    await this.repeat((now) => this.forgetTries(now));
  }

  /**
   * Ends one request if its time is over; what `Collect` does when it meets one before the next round. Throws
   * `unavailable` while nothing may be removed.
   */
  async expireRequest(requestId: string): Promise<void> {
    this.parts.holds?.require('pruning');
    const now = this.parts.clock.now();
    const expired = await this.parts.unitOfWork.run(async (unit) => {
      const row = await unit.tables.findOneBy(PairingRequestRow, { requestId });
      return row !== null && (await expire(unit, row, now));
    });
    if (expired) this.tellExpired(requestId);
  }

  /** A hold is asked for again before each batch: a clock may be set in between. */
  private async repeat(batch: (now: number) => Promise<number>): Promise<void> {
    while (this.mayPrune() && (await batch(this.parts.clock.now())) === BATCH);
  }

  private mayPrune(): boolean {
    return this.parts.holds?.stopping('pruning') === undefined;
  }

  /**
   * One entry a round, with a count for each live code and one for all other ids. A single entry whatever was tried: the
   * audit sequence is public, and must not tell strangers which of the ids they tried were live.
   */
  private async auditTries(): Promise<void> {
    await this.parts.unitOfWork.run(async (unit) => {
      const rows = await unit.tables
        .createQueryBuilder(PairingTryRow, 'try')
        .where('try.tries > try.audited')
        .getMany();
      if (rows.length === 0) return;
      const codes: Record<string, number> = {};
      let other = 0;
      for (const row of rows) {
        const count = row.tries - row.audited;
        const live = await unit.tables.existsBy(PairingCodeRow, { codeId: row.codeId });
        if (live) codes[row.codeId] = count;
        else other += count;
        await unit.tables.update(PairingTryRow, { codeId: row.codeId }, { audited: row.tries });
      }
      unit.audit.append({
        actor: 'nobody',
        source: 'local',
        action: 'pairing.tried',
        subject: 'codes',
        details: { codes, other },
      });
    });
  }

  private endCodes(now: number): Promise<number> {
    return this.parts.unitOfWork.run(async (unit) => {
      const rows = await unit.tables
        .createQueryBuilder(PairingCodeRow, 'code')
        .leftJoin(PairingTryRow, 'try', 'try.codeId = code.codeId')
        .where('code.expiresAt <= :now', { now })
        .orWhere('try.tries >= :tries AND try.lastAt <= :spent', {
          tries: TRIES_PER_PIN,
          spent: now - SPENT_CODE_GRACE_MS,
        })
        .limit(BATCH)
        .getMany();
      for (const row of rows) {
        await endCode(unit, row.codeId);
        const action = row.expiresAt <= now ? 'pairing.code_expired' : 'pairing.code_spent';
        unit.audit.append({ actor: 'system', source: 'local', action, subject: `code/${row.codeId}` });
      }
      return rows.length;
    });
  }

  private async expireRequests(now: number): Promise<number> {
    const expired = await this.parts.unitOfWork.run(async (unit) => {
      const rows = await unit.tables
        .createQueryBuilder(PairingRequestRow, 'request')
        .where('request.state IN (:...states)', { states: ['pending_approval', 'approved'] })
        .andWhere('request.expiresAt <= :now', { now })
        .limit(BATCH)
        .getMany();
      for (const row of rows) await expire(unit, row, now);
      return rows;
    });
    for (const row of expired) this.tellExpired(row.requestId);
    return expired.length;
  }

  private tellExpired(requestId: string): void {
    this.parts.observer.pairingDecided('expired');
    this.parts.changes.announce(requestId);
  }

  private forgetDecided(now: number): Promise<number> {
    return this.parts.unitOfWork.run(async (unit) => {
      const rows = await unit.tables
        .createQueryBuilder(PairingRequestRow, 'request')
        .where('request.state IN (:...states)', { states: ['completed', 'rejected', 'expired'] })
        .andWhere('COALESCE(request.decidedAt, request.expiresAt) <= :before', {
          before: now - DECIDED_REQUEST_LIFE_MS,
        })
        .limit(BATCH)
        .getMany();
      for (const row of rows) await unit.tables.delete(PairingRequestRow, { requestId: row.requestId });
      return rows.length;
    });
  }

  private forgetTries(now: number): Promise<number> {
    return this.parts.unitOfWork.run(async (unit) => {
      const rows = await unit.tables
        .createQueryBuilder(PairingTryRow, 'try')
        .where('try.lastAt <= :before', { before: now - TRY_ROW_LIFE_MS })
        .andWhere('try.tries = try.audited')
        .limit(BATCH)
        .getMany();
      for (const row of rows) await unit.tables.delete(PairingTryRow, { codeId: row.codeId });
      return rows.length;
    });
  }
}

/** Takes a code and its verifier away, however it ended. */
export async function endCode(unit: Unit, codeId: string): Promise<void> {
  await unit.secrets.delete(codeRecordName(codeId));
  await unit.tables.delete(PairingCodeRow, { codeId });
}

/** Returns whether the request was open and its time is over. */
async function expire(unit: Unit, row: PairingRequestRow, now: number): Promise<boolean> {
  if (row.expiresAt > now) return false;
  if (row.state !== 'pending_approval' && row.state !== 'approved') return false;
  await unit.secrets.delete(requestRecordName(row.requestId));
  if (row.state === 'approved') await withdrawUncollected(unit, row);
  await unit.tables.update(PairingRequestRow, { requestId: row.requestId }, { state: 'expired' });
  unit.audit.append({
    actor: 'system',
    source: 'local',
    action: 'pairing.expired',
    subject: `device/${row.deviceId}`,
    details: { request_id: row.requestId, was: row.state },
  });
  return true;
}

/** Approved and never collected: only the certificate of this request goes, an older one in use stays. */
async function withdrawUncollected(unit: Unit, row: PairingRequestRow): Promise<void> {
  if (row.certificateFingerprint === null) return;
  const identity = await readIdentity(unit.secrets, row.deviceId);
  if (identity === undefined) return;
  const left = withoutCertificate(identity, row.certificateFingerprint);
  if (left === undefined) await withdrawIdentity(unit, row.deviceId);
  else if (left !== identity) await writeIdentity(unit, left);
}
