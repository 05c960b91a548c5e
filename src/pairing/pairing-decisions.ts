import type { CertificateAuthority } from '../ca/certificate-authority.js';
import { findIssued, recordIssued } from '../ca/certificate-index.js';
import { type VerifiedCsr, requestedKeyHash } from '../ca/csr.js';
import type { IssuedCertificate, SignedCertificate } from '../ca/issued-certificate.js';
import type { Unit, UnitOfWork } from '../database/unit-of-work.js';
import { DomainError, wrongState } from '../errors/domain-error.js';
import { verifyDeviceCsr } from '../identity/device-csr.js';
import { deviceCertificate } from '../identity/device-identity.js';
import { enrolDevice, enrolmentOutlook } from '../identity/enrolment.js';
import { type OperatorCaller, actorOf } from '../operators/caller.js';
import { operatorMay } from '../operators/operator-record.js';
import type { NodeConnections } from '../quic/node-connections.js';
import { corruptRecord } from '../secret-store/json-record.js';
import type { Clock } from '../time/clock.js';
import type { PairingObserver } from './pairing-observer.js';
import { requestNotFound } from './pairing-queue.js';
import { type RequestRecord, decodeRequestRecord, requestRecordName } from './pairing-record.js';
import { PairingRequestRow } from './pairing.entity.js';
import type { RequestChanges } from './request-changes.js';
import { endUncollected, uncollectedRequests } from './uncollected-requests.js';

export interface PairingDecisionsParts {
  readonly unitOfWork: UnitOfWork;
  readonly authority: CertificateAuthority;
  readonly clock: Clock;
  readonly changes: RequestChanges;
  readonly connections: NodeConnections;
  readonly observer: PairingObserver;
  /** Life of a device certificate, milliseconds. */
  readonly certificateLifetimeMs: number;
  /** Whoever minted a code may not approve what comes with it, neither beforehand nor afterwards. */
  readonly separateApprover?: boolean;
}

export interface Approval {
  readonly requestId: string;
  readonly reason: string;
  readonly replaceIdentity: boolean;
}

/** An approval that its unit of work has made. */
export interface GrantedApproval {
  readonly requestId: string;
  readonly deviceId: string;
  readonly certificate: IssuedCertificate;
  /** Certificates that the device may use now. */
  readonly fingerprints: readonly string[];
  /** Earlier requests of the device that nobody had collected, and that this approval ended. */
  readonly endedRequests: readonly string[];
}

/** Whose approval it is. */
interface Approver {
  readonly actor: string;
  readonly source: string;
  readonly reason: string;
  readonly replaceIdentity: boolean;
  readonly preApproved: boolean;
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
    if ('requestId' in outcome) this.approved(outcome);
    else this.parts.changes.announce(approval.requestId);
    return outcome.certificate;
  }

  /**
   * Approves in the unit that records the request, as the decision of whoever minted the code. `undefined` when it waits
   * for a person: something stands against the enrolment (a known id with another key, a revoked or foreign key, a
   * suspension), or the minter may not approve, or not any more.
   */
  async preApprove(unit: Unit, record: RequestRecord): Promise<GrantedApproval | undefined> {
    if (this.parts.separateApprover === true) return undefined;
    if (!(await mayApprove(unit, record.codeCreatedBy))) return undefined;
    const { deviceId, identityKey } = record;
    const applicant = { deviceId, identityKey, keyHash: requestedKeyHash(record.csr) };
    const { conflict } = await enrolmentOutlook(unit, applicant);
    if (conflict !== undefined) return undefined;
    return this.grant(unit, record, {
      actor: record.codeCreatedBy,
      source: record.sourceAddress,
      reason: 'pre-approved code',
      replaceIdentity: false,
      preApproved: true,
    });
  }

  /** Closes what the approval superseded and tells who waits; to be called once its unit has committed. */
  approved({ requestId, deviceId, fingerprints, endedRequests }: GrantedApproval): void {
    this.parts.observer.pairingDecided('approved');
    this.parts.connections.closeOthers(deviceId, fingerprints, 'superseded');
    this.parts.changes.announce(requestId);
    for (const ended of endedRequests) {
      this.parts.observer.pairingDecided('expired');
      this.parts.changes.announce(ended);
    }
  }

  /** Throws `not_found`, or `wrong_state` with ALREADY_DECIDED or REQUEST_EXPIRED. */
  async reject(caller: OperatorCaller, requestId: string, reason: string): Promise<void> {
    const fresh = await this.parts.unitOfWork.run(async (unit) => {
      const row = await requestRow(unit, requestId);
      if (row.state === 'rejected') return false;
      const record = await this.pendingRecord(unit, row);
      const actor = actorOf(caller);
      await decide(unit, record, { state: 'rejected', by: actor, at: this.parts.clock.now(), reason });
      const details = { request_id: requestId };
      audit(unit, { actor, source: caller.source }, 'pairing.rejected', record.deviceId, reason, details);
      return true;
    });
    if (fresh) this.parts.observer.pairingDecided('rejected');
    this.parts.changes.announce(requestId);
  }

  private async approveInUnit(
    unit: Unit,
    caller: OperatorCaller,
    { requestId, reason, replaceIdentity }: Approval,
  ): Promise<GrantedApproval | { readonly certificate: IssuedCertificate }> {
    const row = await requestRow(unit, requestId);
    const before = await approvedBefore(unit, row);
    if (before !== undefined) return { certificate: before };
    // Before the row is judged by a clock that may be wrong.
    if (row.state === 'pending_approval') this.parts.authority.requireIssuance();
    const record = await this.pendingRecord(unit, row);
    const actor = actorOf(caller);
    if (this.parts.separateApprover === true && record.codeCreatedBy === actor) throw minterMayNotApprove();
    return this.grant(unit, record, {
      actor,
      source: caller.source,
      reason,
      replaceIdentity,
      preApproved: false,
    });
  }

  /**
   * 1. what was proved  2. sign (the CA checks its own output)  3. enrol, without what earlier approvals left
   * uncollected  4. decide  5. audit.
   */
  private async grant(unit: Unit, record: RequestRecord, approver: Approver): Promise<GrantedApproval> {
    const { requestId, deviceId } = record;
    const signed = await this.sign(record, verifyDeviceCsr(record.csr, record.identityKey));
    const certificate = await recordIssued(unit, signed);
    const at = this.parts.clock.now();
    const { actor, source, reason, replaceIdentity, preApproved } = approver;
    const uncollected = await uncollectedRequests(unit, deviceId);
    const withdrawn = uncollected.flatMap((row) => row.certificateFingerprint ?? []);
    const { replacedIdentity, fingerprints } = await enrolDevice(
      unit,
      { ...enrolmentOf(record), certificate: deviceCertificate(certificate) },
      { replaceIdentity, now: at, withdrawn },
    );
    await endUncollected(unit, uncollected, { actor, source, requestId });
    await decide(unit, record, { state: 'approved', by: actor, at, reason, certificate });
    audit(unit, { actor, source }, 'pairing.approved', deviceId, reason, {
      request_id: requestId,
      certificate: certificate.fingerprint,
      replaced_identity: replacedIdentity,
      ...(preApproved ? { pre_approved: true, code: record.codeId } : {}),
    });
    const endedRequests = uncollected.map((row) => row.requestId);
    return { requestId, deviceId, certificate, fingerprints, endedRequests };
  }

  private sign(record: RequestRecord, csr: VerifiedCsr): Promise<SignedCertificate> {
    const lifetimeMs = this.parts.certificateLifetimeMs;
    return this.parts.authority.issueDeviceCertificate({ deviceId: record.deviceId, csr, lifetimeMs });
  }

  /** What is to be decided on: the sealed record, whose expiry counts as the row's does, since a row may be forged. */
  private async pendingRecord(unit: Unit, row: PairingRequestRow): Promise<RequestRecord> {
    const now = this.parts.clock.now();
    if (row.state === 'expired') throw requestExpired();
    if (row.state !== 'pending_approval') throw alreadyDecided(row);
    if (row.expiresAt <= now) throw requestExpired();
    const record = await sealedRequest(unit, row);
    if (record.expiresAt <= now) throw requestExpired();
    return record;
  }
}

function requestExpired(): DomainError {
  return wrongState('REQUEST_EXPIRED', 'the request has expired; mint a new code and pair again');
}

function minterMayNotApprove(): DomainError {
  return new DomainError(
    'forbidden',
    'MINTER_MAY_NOT_APPROVE',
    'you minted the code of this request; here another operator approves it (PALYRA_PAIRING_SEPARATE_APPROVER)',
  );
}

/** Whether the operator who minted a code is still there and may approve. */
async function mayApprove(unit: Unit, actor: string): Promise<boolean> {
  const [kind, operatorId = ''] = actor.split('/');
  return kind === 'operator' && (await operatorMay(unit.secrets, operatorId, 'approver'));
}

async function requestRow(unit: Unit, requestId: string): Promise<PairingRequestRow> {
  const row = await unit.tables.findOneBy(PairingRequestRow, { requestId });
  if (row === null) throw requestNotFound(requestId);
  return row;
}

/** The certificate of an earlier approval, so that approving twice answers the same and issues once. */
async function approvedBefore(unit: Unit, row: PairingRequestRow): Promise<IssuedCertificate | undefined> {
  if (row.state !== 'approved' && row.state !== 'completed') return undefined;
  const certificate = await findIssued(unit, row.certificateFingerprint ?? '');
  if (certificate === undefined) {
    throw new DomainError(
      'corrupt',
      'CERTIFICATE_MISSING',
      `the certificate of request ${row.requestId} is gone`,
    );
  }
  return certificate;
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
async function decide(unit: Unit, record: RequestRecord, decision: Decision): Promise<void> {
  const { requestId } = record;
  await unit.secrets.delete(requestRecordName(requestId));
  await unit.tables.update(
    PairingRequestRow,
    { requestId },
    {
      state: decision.state,
      decidedBy: decision.by,
      decidedAt: decision.at,
      reason: decision.reason,
      expiresAt: decision.certificate?.expiresAt ?? record.expiresAt,
      certificateFingerprint: decision.certificate?.fingerprint ?? null,
    },
  );
}

/** Tells the one who lost a race which decision stands. */
function alreadyDecided(row: PairingRequestRow): DomainError {
  const decision = row.state === 'rejected' ? 'rejected' : 'approved';
  const at = row.decidedAt === null ? '' : ` at ${new Date(row.decidedAt).toISOString()}`;
  return wrongState(
    'ALREADY_DECIDED',
    `the request was ${decision} by ${row.decidedBy ?? 'somebody'}${at} already`,
  );
}

function audit(
  unit: Unit,
  by: { readonly actor: string; readonly source: string },
  action: string,
  deviceId: string,
  reason: string,
  details: Readonly<Record<string, unknown>>,
): void {
  unit.audit.append({ ...by, action, subject: `device/${deviceId}`, reason, details });
}
