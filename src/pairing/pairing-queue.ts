import { requestedKeyHash } from '../ca/csr.js';
import type { CommittedReader } from '../database/unit-of-work.js';
import { corruptRecord } from '../secret-store/json-record.js';
import { notFound } from '../errors/domain-error.js';
import { enrolmentOutlook, type EnrolmentConflict } from '../identity/enrolment.js';
import { decodeRequestRecord, requestRecordName, type RequestRecord } from './pairing-record.js';
import { PairingRequestRow, type PairingRequestState } from './pairing.entity.js';

/** A request as an operator sees it. While it is pending every fact comes from the sealed record, not from the row. */
export interface QueuedRequest {
  readonly row: PairingRequestRow;
  readonly record: RequestRecord | undefined;
  readonly conflict: EnrolmentConflict | undefined;
  /** The device id is known with this same key. */
  readonly knownDevice: boolean;
}

export interface RequestPage {
  readonly requests: readonly QueuedRequest[];
  /** Id of the last request of this page when there are more. */
  readonly next: string | undefined;
}

/** The requests that wait for an operator, and those that were decided. */
export class PairingQueue {
  constructor(private readonly committed: CommittedReader) {}

  /** Throws `not_found`. */
  async get(requestId: string): Promise<QueuedRequest> {
    const row = await this.committed.tables.findOneBy(PairingRequestRow, { requestId });
    if (row === null) throw requestNotFound(requestId);
    return this.complete(row);
  }

  /** Newest first, before `before` (exclusive). */
  async list(options: { state?: PairingRequestState; before?: string; limit: number }): Promise<RequestPage> {
    const query = this.committed.tables
      .createQueryBuilder(PairingRequestRow, 'request')
      .orderBy('request.requestId', 'DESC')
      .limit(options.limit + 1);
    if (options.before !== undefined)
      query.andWhere('request.requestId < :before', { before: options.before });
    if (options.state !== undefined) query.andWhere('request.state = :state', { state: options.state });
    const rows = await query.getMany();
    const page = rows.slice(0, options.limit);
    return {
      requests: await Promise.all(page.map((row) => this.complete(row))),
      next: rows.length > options.limit ? page.at(-1)?.requestId : undefined,
    };
  }

  private async complete(row: PairingRequestRow): Promise<QueuedRequest> {
    if (row.state !== 'pending_approval')
      return { row, record: undefined, conflict: undefined, knownDevice: false };
    const name = requestRecordName(row.requestId);
    const sealed = await this.committed.secrets.read(name);
    if (sealed === undefined) return this.vanished(row, name);
    const record = decodeRequestRecord(row.requestId, sealed);
    const { deviceId, identityKey, csr } = record;
    const applicant = { deviceId, identityKey, keyHash: requestedKeyHash(csr) };
    const { conflict, known } = await enrolmentOutlook(this.committed, applicant);
    return { row, record, conflict, knownDevice: known !== undefined && conflict === undefined };
  }

  /** Between reading row and record somebody may have decided; a pending row without a record is damage. */
  private async vanished(row: PairingRequestRow, name: string): Promise<QueuedRequest> {
    const again = await this.committed.tables.findOneBy(PairingRequestRow, { requestId: row.requestId });
    if (again === null || again.state === 'pending_approval') throw corruptRecord(name);
    return { row: again, record: undefined, conflict: undefined, knownDevice: false };
  }
}

export function requestNotFound(requestId: string): Error {
  return notFound(
    'REQUEST_NOT_FOUND',
    `there is no pairing request ${requestId}; \`palyra pairing list\` shows all`,
  );
}
