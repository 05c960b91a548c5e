import type { CertificateAuthority } from '../ca/certificate-authority.js';
import { findIssued, recordIssued } from '../ca/certificate-index.js';
import type { VerifiedCsr } from '../ca/csr.js';
import type { IssuedCertificate, SignedCertificate } from '../ca/issued-certificate.js';
import type { Unit, UnitOfWork } from '../database/unit-of-work.js';
import { DomainError, wrongState } from '../errors/domain-error.js';
import { verifyDeviceCsr } from '../identity/device-csr.js';
import { deviceCertificate } from '../identity/device-identity.js';
import { enrolDevice } from '../identity/enrolment.js';
import { type OperatorCaller, actorOf } from '../operators/caller.js';
import type { NodeConnections } from '../quic/node-connections.js';
import { corruptRecord } from '../secret-store/json-record.js';
import type { Clock } from '../time/clock.js';
import type { PairingObserver } from './pairing-observer.js';
import { requestNotFound } from './pairing-queue.js';
import { type RequestRecord, decodeRequestRecord, requestRecordName } from './pairing-record.js';
import { PairingRequestRow } from './pairing.entity.js';
import type { RequestChanges } from './request-changes.js';

export interface PairingDecisionsParts {
  readonly unitOfWork: UnitOfWork;
  readonly authority: CertificateAuthority;
  readonly clock: Clock;
  readonly changes: RequestChanges;
  readonly connections: NodeConnections;
  readonly observer: PairingObserver;
  /** Life of a device certificate, milliseconds. */
  readonly certificateLifetimeMs: number;
}

export interface Approval {
  readonly requestId: string;
  readonly reason: string;
  readonly replaceIdentity: boolean;
}

interface ApprovalOutcome {
  readonly certificate: IssuedCertificate;
  /** What this call enrolled; absent when the request was approved before. */
  readonly enrolled?: { readonly deviceId: string; readonly fingerprints: readonly string[] };
}

/** What an operator decides about a request. A decision is final; the same one again answers the same. */
export class PairingDecisions {
  constructor(private readonly parts: PairingDecisionsParts) {}

  /**
   * Issues the certificate, enrols the device, audits and marks the request, all in one unit of work; nothing of it is
   * let out before that has committed. Throws `not_found`, or `wrong_state` with ALREADY_DECIDED, REQUEST_EXPIRED or
   * what stands against the enrolment (`EnrolmentConflict`).
   */
  async approve(caller: OperatorCaller, approval: Approval): Promise<IssuedCertificate> {
    const outcome = await this.parts.unitOfWork.run((unit) => this.approveInUnit(unit, caller, approval));
    if (outcome.enrolled !== undefined) {
      const { deviceId, fingerprints } = outcome.enrolled;
      this.parts.observer.pairingDecided('approved');
      this.parts.connections.closeOthers(deviceId, fingerprints, 'superseded');
    }
    this.parts.changes.announce(approval.requestId);
    return outcome.certificate;
  }

  /** Throws `not_found`, or `wrong_state` with ALREADY_DECIDED or REQUEST_EXPIRED. */
  async reject(caller: OperatorCaller, requestId: string, reason: string): Promise<void> {
    const fresh = await this.parts.unitOfWork.run(async (unit) => {
      const row = await requestRow(unit, requestId);
      if (row.state === 'rejected') return false;
      this.requirePending(row);
      await decide(unit, row, { state: 'rejected', by: actorOf(caller), at: this.parts.clock.now(), reason });
      audit(unit, caller, 'pairing.rejected', row.deviceId, reason, { request_id: requestId });
      return true;
    });
    if (fresh) this.parts.observer.pairingDecided('rejected');
    this.parts.changes.announce(requestId);
  }

  private async approveInUnit(
    unit: Unit,
    caller: OperatorCaller,
    approval: Approval,
  ): Promise<ApprovalOutcome> {
    const row = await requestRow(unit, approval.requestId);
    const before = await approvedBefore(unit, row);
    if (before !== undefined) return before;
    this.requirePending(row);

    // 1. what was proved  2. sign (the CA checks its own output)  3. enrol  4. decide  5. audit
    const record = await sealedRequest(unit, row);
    const signed = await this.sign(record, verifyDeviceCsr(record.csr, record.identityKey));
    const certificate = await recordIssued(unit, signed);
    const now = this.parts.clock.now();
    const { replacedIdentity, fingerprints } = await enrolDevice(
      unit,
      { ...enrolmentOf(record), certificate: deviceCertificate(certificate) },
      { replaceIdentity: approval.replaceIdentity, now },
    );
    await decide(unit, row, {
      state: 'approved',
      by: actorOf(caller),
      at: now,
      reason: approval.reason,
      certificate,
    });
    audit(unit, caller, 'pairing.approved', record.deviceId, approval.reason, {
      request_id: record.requestId,
      certificate: certificate.fingerprint,
      replaced_identity: replacedIdentity,
    });
    return { certificate, enrolled: { deviceId: record.deviceId, fingerprints } };
  }

  private sign(record: RequestRecord, csr: VerifiedCsr): Promise<SignedCertificate> {
    const lifetimeMs = this.parts.certificateLifetimeMs;
    return this.parts.authority.issueDeviceCertificate({ deviceId: record.deviceId, csr, lifetimeMs });
  }

  private requirePending(row: PairingRequestRow): void {
    if (
      row.state === 'expired' ||
      (row.state === 'pending_approval' && row.expiresAt <= this.parts.clock.now())
    ) {
      throw wrongState('REQUEST_EXPIRED', 'the request has expired; mint a new code and pair again');
    }
    if (row.state !== 'pending_approval') throw alreadyDecided(row);
  }
}

async function requestRow(unit: Unit, requestId: string): Promise<PairingRequestRow> {
  const row = await unit.tables.findOneBy(PairingRequestRow, { requestId });
  if (row === null) throw requestNotFound(requestId);
  return row;
}

/** The certificate of an earlier approval, so that approving twice answers the same and issues once. */
async function approvedBefore(unit: Unit, row: PairingRequestRow): Promise<ApprovalOutcome | undefined> {
  if (row.state !== 'approved' && row.state !== 'completed') return undefined;
  const certificate = await findIssued(unit, row.certificateFingerprint ?? '');
  if (certificate === undefined) {
    throw new DomainError(
      'corrupt',
      'CERTIFICATE_MISSING',
      `the certificate of request ${row.requestId} is gone`,
    );
  }
  return { certificate };
}

async function sealedRequest(unit: Unit, row: PairingRequestRow): Promise<RequestRecord> {
  const name = requestRecordName(row.requestId);
  const sealed = await unit.secrets.read(name);
  if (sealed === undefined) throw corruptRecord(name);
  return decodeRequestRecord(row.requestId, sealed);
}

const enrolmentOf = (
  record: RequestRecord,
): Pick<RequestRecord, 'deviceId' | 'clientKind' | 'platform' | 'identityKey'> => ({
  deviceId: record.deviceId,
  clientKind: record.clientKind,
  platform: record.platform,
  identityKey: record.identityKey,
});

interface Decision {
  readonly state: 'approved' | 'rejected';
  readonly by: string;
  readonly at: number;
  readonly reason: string;
  readonly certificate?: IssuedCertificate;
}

/** What the device proved goes with the decision; the row stays, without secrets. */
async function decide(unit: Unit, row: PairingRequestRow, decision: Decision): Promise<void> {
  await unit.secrets.delete(requestRecordName(row.requestId));
  await unit.tables.update(
    PairingRequestRow,
    { requestId: row.requestId },
    {
      state: decision.state,
      decidedBy: decision.by,
      decidedAt: decision.at,
      reason: decision.reason,
      expiresAt: decision.certificate?.expiresAt ?? row.expiresAt,
      certificateFingerprint: decision.certificate?.fingerprint ?? null,
    },
  );
}

function alreadyDecided(row: PairingRequestRow): DomainError {
  const decision = row.state === 'rejected' ? 'rejected' : 'approved';
  return wrongState(
    'ALREADY_DECIDED',
    `the request was ${decision} by ${row.decidedBy ?? 'somebody'} already`,
  );
}

function audit(
  unit: Unit,
  caller: OperatorCaller,
  action: string,
  deviceId: string,
  reason: string,
  details: Readonly<Record<string, unknown>>,
): void {
  unit.audit.append({
    actor: actorOf(caller),
    source: caller.source,
    action,
    subject: `device/${deviceId}`,
    reason,
    details,
  });
}
