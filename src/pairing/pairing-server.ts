import type { VerifiedCsr } from '../ca/csr.js';
import type { CommittedReader, Unit, UnitOfWork } from '../database/unit-of-work.js';
import { newUlid } from '../encoding/ulid.js';
import { DomainError } from '../errors/domain-error.js';
import { verifyDeviceCsr } from '../identity/device-csr.js';
import { identityFingerprint } from '../identity/fingerprint.js';
import type { RandomBytes } from '../random/random-bytes.js';
import { Scalar } from '../spake2plus/p256.js';
import type { Verifier } from '../spake2plus/verifier.js';
import type { Clock } from '../time/clock.js';
import { isFor } from './code-policy.js';
import { endCode } from './housekeeping.js';
import type { GrantedApproval, PairingDecisions } from './pairing-decisions.js';
import {
  type CodeRecord,
  DECOY_RECORD_NAME,
  type RequestRecord,
  codeRecordName,
  decodeCodeRecord,
  decodeDecoyRecord,
  encodeCodeRecord,
  encodeRequestRecord,
  requestRecordName,
} from './pairing-record.js';
import { PairingCodeRow, type PairingRequestFields, PairingRequestRow } from './pairing.entity.js';
import { codeKindOf } from './protocol/code.js';
import {
  type CheckedHello,
  type HelloInput,
  type Proof,
  type Welcome,
  type WelcomeFields,
  parseHello,
} from './protocol/messages.js';
import { type PendingProof, type VerifiedProof, respondToHello } from './protocol/server-handshake.js';
import { collectTokenHash } from './protocol/transcript.js';
import type { RequestChanges } from './request-changes.js';
import type { StartLimits } from './start-limits.js';
import { spendTry } from './tries.js';

export interface PairingServerParts {
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly limits: StartLimits;
  /** Approves what comes with a code that was approved beforehand. */
  readonly decisions: Pick<PairingDecisions, 'preApprove' | 'approved'>;
  readonly changes: RequestChanges;
  /** What `welcome` says of the cluster, as it is now. */
  readonly welcomeFields: () => WelcomeFields;
  /** How long a request waits for its decision, milliseconds. */
  readonly requestTtlMs: number;
}

/** The server's side of `Pair`: hello → welcome → proof → receipt (DESIGN §5, "Handshake"). */
export class PairingServer {
  constructor(private readonly parts: PairingServerParts) {}

  /**
   * Answers a hello. The form is checked before anything is spent; a PIN id then loses a try, durably, before the code
   * is looked up. Throws `exhausted` (limits) or `malformed` (form). The session must be ended in any case.
   */
  async begin(input: HelloInput, source: string): Promise<PairingSession> {
    const release = this.parts.limits.begin(source);
    try {
      const hello = parseHello(input);
      const verifier = await this.verifierFor(hello.codeId);
      const fields = this.parts.welcomeFields();
      const y = Scalar.random(this.parts.random);
      const { welcome, pending } = respondToHello({ hello, verifier, fields, y });
      return new PairingSession(this.parts, welcome, pending, source, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** The live code's verifier, or the decoy: one look at the index and one record opened, either way. */
  private async verifierFor(codeId: string): Promise<Verifier> {
    const now = this.parts.clock.now();
    const mayTry =
      codeKindOf(codeId) === 'link' ||
      (await this.parts.unitOfWork.run((unit) => spendTry(unit, codeId, now)));
    const { tables, secrets } = this.parts.committed;
    const row = await tables.findOneBy(PairingCodeRow, { codeId });
    const live = row !== null && row.expiresAt > now && mayTry;
    const sealed = await secrets.read(live ? codeRecordName(codeId) : DECOY_RECORD_NAME);
    if (live && sealed !== undefined) {
      const record = decodeCodeRecord(codeId, sealed);
      // The sealed record decides: a row whose expiry was forged lets no old code live.
      if (record.expiresAt > now) return record.verifier;
    }
    return this.decoy(live ? undefined : sealed);
  }

  private async decoy(sealed: Buffer | undefined): Promise<Verifier> {
    const record = sealed ?? (await this.parts.committed.secrets.read(DECOY_RECORD_NAME));
    if (record === undefined) {
      throw new DomainError('corrupt', 'DECOY_MISSING', 'the pairing decoy is missing; restart the service');
    }
    return decodeDecoyRecord(record);
  }
}

/** One handshake; lives in this process's memory and dies with its call. */
export class PairingSession {
  constructor(
    private readonly parts: PairingServerParts,
    readonly welcome: Welcome,
    private readonly pending: PendingProof,
    private readonly source: string,
    private readonly release: () => void,
  ) {}

  /**
   * Judges the proof and records the request. Returns its id once that is durable. Throws `unauthenticated` with
   * PAIRING_REFUSED for a wrong proof and for a code that is unknown, spent, used or expired, and behind a right proof
   * (the code stays live) `malformed` for faults and `forbidden` with CODE_NOT_FOR_DEVICE.
   */
  async finish(proof: Proof): Promise<string> {
    const { identityKey } = this.pending.hello;
    const outcome = this.pending.check(proof, (csr) => verifyDeviceCsr(csr, identityKey));
    if (outcome.kind === 'wrong_proof') throw pairingRefused();
    if (outcome.kind === 'fault') throw outcome.error;
    try {
      const { requestId, approval } = await this.parts.unitOfWork.run((unit) => this.record(unit, outcome));
      if (approval === undefined) this.parts.changes.announce(requestId);
      else this.parts.decisions.approved(approval);
      return requestId;
    } finally {
      outcome.collectToken.fill(0);
    }
  }

  /** Gives the slot back and forgets the keys; may be called again. */
  end(): void {
    this.pending.discard();
    this.release();
  }

  /** Uses up the code and records the request and the token's hash, in one unit. */
  private async record(unit: Unit, proof: VerifiedProof<VerifiedCsr>): Promise<RecordedRequest> {
    const { hello } = proof;
    const now = this.parts.clock.now();
    const { createdBy, policy } = await useCode(unit, hello, now);
    const record: RequestRecord = {
      requestId: newUlid(this.parts.clock, this.parts.random).toLowerCase(),
      ...factsOf(hello),
      csr: proof.request.der,
      tokenHash: collectTokenHash(proof.collectToken),
      sourceAddress: this.source,
      codeCreatedBy: createdBy,
      createdAt: now,
      expiresAt: now + this.parts.requestTtlMs,
    };
    await unit.secrets.write(requestRecordName(record.requestId), encodeRequestRecord(record));
    await unit.tables.insert(PairingRequestRow, rowOf(record));
    unit.audit.append({
      actor: 'nobody',
      source: this.source,
      action: 'pairing.requested',
      subject: `device/${hello.deviceId}`,
      details: {
        request_id: record.requestId,
        code: hello.codeId,
        identity: identityFingerprint(hello.identityKey),
      },
    });
    const { requestId } = record;
    if (!policy.preApproved) return { requestId };
    const approval = await this.parts.decisions.preApprove(unit, record);
    return approval === undefined ? { requestId } : { requestId, approval };
  }
}

interface RecordedRequest {
  readonly requestId: string;
  /** When the code had been approved beforehand and nothing stood against it. */
  readonly approval?: GrantedApproval;
}

/**
 * Takes one use of the code, the last of which ends it. A code that ended since `hello` is refused like any other dead
 * one. Whoever gets here knows the secret, so it may hear that the code is for others.
 */
async function useCode(unit: Unit, hello: CheckedHello, now: number): Promise<CodeRecord> {
  const { codeId } = hello;
  const sealed = await unit.secrets.read(codeRecordName(codeId));
  const row = await unit.tables.findOneBy(PairingCodeRow, { codeId });
  if (sealed === undefined || row === null) throw pairingRefused();
  const record = decodeCodeRecord(codeId, sealed);
  if (record.expiresAt <= now) throw pairingRefused();
  if (!isFor(record.policy, hello)) {
    throw new DomainError(
      'forbidden',
      'CODE_NOT_FOR_DEVICE',
      'this code is for devices of another kind or id',
    );
  }
  const usesLeft = record.usesLeft - 1;
  if (usesLeft === 0) await endCode(unit, codeId);
  else await unit.secrets.write(codeRecordName(codeId), encodeCodeRecord({ ...record, usesLeft }));
  return record;
}

type HelloFacts = Pick<RequestRecord, 'deviceId' | 'clientKind' | 'platform' | 'identityKey' | 'codeId'>;

const factsOf = (hello: CheckedHello): HelloFacts => ({
  deviceId: hello.deviceId,
  clientKind: hello.clientKind,
  platform: hello.platform,
  identityKey: hello.identityKey,
  codeId: hello.codeId,
});

function rowOf(record: RequestRecord): PairingRequestFields {
  return {
    requestId: record.requestId,
    state: 'pending_approval',
    deviceId: record.deviceId,
    clientKind: record.clientKind,
    platform: record.platform,
    identityFingerprint: identityFingerprint(record.identityKey),
    sourceAddress: record.sourceAddress,
    codeId: record.codeId,
    codeCreatedBy: record.codeCreatedBy,
    tokenHash: record.tokenHash.toString('hex'),
    createdAt: record.createdAt,
    expiresAt: record.expiresAt,
    decidedBy: null,
    decidedAt: null,
    reason: null,
    certificateFingerprint: null,
  };
}

/** One answer for a wrong proof and for every code that does not live, so that nobody learns which it was. */
export function pairingRefused(): DomainError {
  return new DomainError(
    'unauthenticated',
    'PAIRING_REFUSED',
    'the code is not right, or it is used up, spent or expired; ask for a new one',
  );
}
