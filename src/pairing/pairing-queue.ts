import { requestedKeyHash } from '../ca/csr.js';
import type { CommittedReader } from '../database/unit-of-work.js';
import { corruptRecord } from '../secret-store/json-record.js';
import { notFound } from '../errors/domain-error.js';
import { type ApplicantFacts, applicantFacts } from '../identity/applicant-facts.js';
import type { ClientKind, DeviceIdentity } from '../identity/device-identity.js';
import { identityFingerprint } from '../identity/fingerprint.js';
import type { Clock } from '../time/clock.js';
import { enrolmentOutlook, type EnrolmentConflict } from '../identity/enrolment.js';
import { decodeRequestRecord, requestRecordName, type RequestRecord } from './pairing-record.js';
import { PairingCodeRow, PairingRequestRow, type PairingRequestState } from './pairing.entity.js';

/** A request as an operator sees it. While it is pending every fact comes from the sealed record, not from the row. */
export interface QueuedRequest {
  readonly row: PairingRequestRow;
  readonly record: RequestRecord | undefined;
  readonly conflict: EnrolmentConflict | undefined;
  /** The device id is known with this same key. */
  readonly knownDevice: boolean;
  /** While it is pending: the identity that the device id has now, whatever its key. */
  readonly knownIdentity: DeviceIdentity | undefined;
  /** While it is pending. */
  readonly facts: ApplicantFacts | undefined;
  /** Whether the code lives on after this use: then its id is for those who may mint. */
  readonly codeIsLive: boolean;
}

/** Which requests to list; all of what is absent. */
export interface RequestFilter {
  readonly state?: PairingRequestState;
  readonly clientKind?: ClientKind;
  readonly codeId?: string;
  /** Begun at least, and at most, so many milliseconds ago. */
  readonly minAgeMs?: number;
  readonly maxAgeMs?: number;
}

export interface RequestPage {
  readonly requests: readonly QueuedRequest[];
  /** Id of the last request of this page when there are more. */
  readonly next: string | undefined;
}

/** The requests that wait for an operator, and those that were decided. */
export class PairingQueue {
  constructor(
    private readonly committed: CommittedReader,
    private readonly clock: Clock,
  ) {}

  /** Throws `not_found`. */
  async get(requestId: string): Promise<QueuedRequest> {
    const request = await this.find(requestId);
    if (request === undefined) throw requestNotFound(requestId);
    return request;
  }

  /** `undefined` when there is none, or none any more. */
  async find(requestId: string): Promise<QueuedRequest | undefined> {
    const row = await this.committed.tables.findOneBy(PairingRequestRow, { requestId });
    return row === null ? undefined : this.complete(row);
  }

  /** Newest first, before `before` (exclusive). */
  async list(options: RequestFilter & { before?: string; limit: number }): Promise<RequestPage> {
    const { state, clientKind, codeId, minAgeMs, maxAgeMs } = options;
    const now = this.clock.now();
    const query = this.committed.tables
      .createQueryBuilder(PairingRequestRow, 'request')
      .orderBy('request.requestId', 'DESC')
      .limit(options.limit + 1);
    if (options.before !== undefined)
      query.andWhere('request.requestId < :before', { before: options.before });
    if (state !== undefined) query.andWhere('request.state = :state', { state });
    if (clientKind !== undefined) query.andWhere('request.clientKind = :clientKind', { clientKind });
    if (codeId !== undefined) query.andWhere('request.codeId = :codeId', { codeId });
    if (minAgeMs !== undefined) query.andWhere('request.createdAt <= :latest', { latest: now - minAgeMs });
    if (maxAgeMs !== undefined)
      query.andWhere('request.createdAt >= :earliest', { earliest: now - maxAgeMs });
    const rows = await query.getMany();
    const page = rows.slice(0, options.limit);
    return {
      requests: await Promise.all(page.map((row) => this.complete(row))),
      next: rows.length > options.limit ? page.at(-1)?.requestId : undefined,
    };
  }

  private async complete(row: PairingRequestRow): Promise<QueuedRequest> {
    if (row.state !== 'pending_approval') return this.decided(row);
    const name = requestRecordName(row.requestId);
    const sealed = await this.committed.secrets.read(name);
    if (sealed === undefined) return this.vanished(row, name);
    const record = decodeRequestRecord(row.requestId, sealed);
    const { deviceId, identityKey, csr, codeId } = record;
    const applicant = { deviceId, identityKey, keyHash: requestedKeyHash(csr) };
    const { conflict, known } = await enrolmentOutlook(this.committed, applicant);
    return {
      row,
      record,
      conflict,
      knownDevice: known !== undefined && conflict === undefined,
      knownIdentity: known,
      facts: await applicantFacts(this.committed, deviceId, identityFingerprint(identityKey)),
      codeIsLive: await this.isLive(codeId),
    };
  }

  private async decided(row: PairingRequestRow): Promise<QueuedRequest> {
    const nothing = { record: undefined, conflict: undefined, knownIdentity: undefined, facts: undefined };
    return { row, ...nothing, knownDevice: false, codeIsLive: await this.isLive(row.codeId) };
  }

  private async isLive(codeId: string): Promise<boolean> {
    return this.committed.tables.existsBy(PairingCodeRow, { codeId });
  }

  /** Between reading row and record somebody may have decided; a pending row without a record is damage. */
  private async vanished(row: PairingRequestRow, name: string): Promise<QueuedRequest> {
    const again = await this.committed.tables.findOneBy(PairingRequestRow, { requestId: row.requestId });
    if (again === null || again.state === 'pending_approval') throw corruptRecord(name);
    return this.decided(again);
  }
}

export function requestNotFound(requestId: string): Error {
  return notFound(
    'REQUEST_NOT_FOUND',
    `there is no pairing request ${requestId}; \`palyra pairing list\` shows all`,
  );
}
