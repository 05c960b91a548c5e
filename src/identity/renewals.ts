import type { CertificateAuthority } from '../ca/certificate-authority.js';
import { findIssued, isIssued, recordIssued } from '../ca/certificate-index.js';
import { CLUSTER_RECORD_NAME } from '../ca/cluster-record.js';
import type { IssuedCertificate } from '../ca/issued-certificate.js';
import type { CommittedReader, Unit, UnitOfWork } from '../database/unit-of-work.js';
import { DomainError, type ErrorKind, wrongState } from '../errors/domain-error.js';
import type { NodeConnections } from '../quic/node-connections.js';
import { newKeyPair } from '../random/key-pair.js';
import type { Clock } from '../time/clock.js';
import { withNewCertificate } from './certificate-succession.js';
import { type DeviceIdentity, deviceCertificate } from './device-identity.js';
import { rawIdentityKey } from './ed25519.js';
import { certificatesOf, isKeyOfAnother, readIdentity, writeIdentity } from './enrolment.js';
import { deviceRecordName } from './identity-record.js';
import type { RefusalLimits } from './refusal-limits.js';
import type { RenewalAllowance } from './renewal-allowance.js';
import {
  type AuthenticRenewal,
  type RenewalInput,
  type RenewalRequest,
  parseRenewalRequest,
  verifyRenewal,
} from './renewal-request.js';
import {
  type ConflictAction,
  type RenewalPolicy,
  type RenewalRefusal,
  decideRenewal,
} from './renewal-rule.js';

export interface RenewalsParts {
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
  readonly clock: Clock;
  readonly authority: CertificateAuthority;
  readonly connections: NodeConnections;
  readonly limits: RefusalLimits;
  readonly allowance: RenewalAllowance;
  readonly policy: RenewalPolicy;
  /** Life of a device certificate, milliseconds. */
  readonly certificateLifetimeMs: number;
}

export interface RenewedCertificate {
  /** Leaf and what leads from it to a root, root included, DER. */
  readonly chain: readonly Buffer[];
  /** Unix milliseconds. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** What one unit of work has made of a request. */
type Outcome =
  | {
      readonly kind: 'certificate';
      readonly issued: IssuedCertificate;
      readonly identity: DeviceIdentity;
      /** Whether it was issued just now, and not before. */
      readonly isNew: boolean;
    }
  | { readonly kind: 'conflict'; readonly action: ConflictAction };

/** Renewal and return (DESIGN §7): a new certificate on the word of the identity key, whichever door it came by. */
export class Renewals {
  /** Stands in for the key of a device that is not known; nobody has its private half. */
  readonly #strangersKey = rawIdentityKey(newKeyPair('ed25519').publicKey);

  constructor(private readonly parts: RenewalsParts) {}

  /**
   * Form → signature → rule → sign → record → audit → commit, and only then the answer. `source` is the address, for the
   * audit log; `refusedAs` is what refusals are counted for. Throws `exhausted` (TOO_MANY_REFUSALS, or TOO_MANY_RENEWALS
   * of the device itself), `malformed` (form; the PKCS#10 request, once the signature held), `unauthenticated`
   * RENEWAL_REFUSED, or `wrong_state` with RENEWAL_CONFLICT, DEVICE_SUSPENDED, RENEWAL_TOO_LATE or KEY_IN_USE. A conflict
   * is committed although its call is refused.
   */
  async renew(input: RenewalInput, source: string, refusedAs = source): Promise<RenewedCertificate> {
    this.parts.limits.require(refusedAs);
    try {
      return await this.answer(parseRenewalRequest(input), source);
    } catch (error) {
      if (isRefusal(error)) this.parts.limits.refused(refusedAs);
      throw error;
    }
  }

  private async answer(request: RenewalRequest, source: string): Promise<RenewedCertificate> {
    const renewal = await this.authenticate(request);
    const outcome = await this.parts.unitOfWork.run((unit) => this.decideInUnit(unit, renewal, source));
    const { connections } = this.parts;
    if (outcome.kind === 'conflict') {
      if (outcome.action === 'suspend') connections.closeDevice(renewal.deviceId, 'suspended');
      throw conflictError(outcome.action);
    }
    if (outcome.isNew) this.parts.allowance.spend(renewal.deviceId);
    connections.closeOthers(renewal.deviceId, certificatesOf(outcome.identity), 'superseded');
    const { der, issuerKeyId, issuedAt, expiresAt } = outcome.issued;
    return { chain: this.parts.authority.chainOf(der, issuerKeyId), issuedAt, expiresAt };
  }

  /**
   * Checks the signature against committed state, outside of the queue of units. For a device that is not there a record
   * is opened and a signature is checked all the same, so that strangers do not learn by the time it takes which are.
   */
  private async authenticate(request: RenewalRequest): Promise<AuthenticRenewal> {
    const { committed, authority } = this.parts;
    const identity = await readIdentity(committed.secrets, request.deviceId);
    if (identity === undefined) await committed.secrets.read(CLUSTER_RECORD_NAME);
    const key = identity?.identityKey ?? this.#strangersKey;
    const renewal = await verifyRenewal(request, authority.trustDomain, key);
    if (renewal === undefined || identity === undefined) throw renewalRefused();
    return renewal;
  }

  private async decideInUnit(unit: Unit, renewal: AuthenticRenewal, source: string): Promise<Outcome> {
    const identity = await readIdentity(unit.secrets, renewal.deviceId);
    // Revoked, or paired anew with another key, since the signature was checked.
    if (!identity?.identityKey.equals(renewal.identityKey)) throw renewalRefused();
    // Before the rule is asked: a clock that is not believed must not tell a device that it comes too late.
    this.parts.authority.requireIssuance();
    const { parent, keyHash } = renewal;
    const keyInUse = await isKeyOfAnother(unit, keyHash, renewal.deviceId);
    const parentKnown = await isIssued(unit, parent);
    const now = this.parts.clock.now();
    const wish = { parent, keyHash, keyInUse, parentKnown };
    const decision = decideRenewal(identity, wish, now, this.parts.policy);
    switch (decision.kind) {
      case 'refused':
        throw refusalError(decision.reason);
      case 'conflict':
        await noteConflict(unit, identity, renewal, { action: decision.action, source, now });
        return decision;
      case 'same_certificate': {
        const issued = await findIssued(unit, decision.certificate.fingerprint);
        // Gone from the index, or of a root that is not trusted any more: the sealed record vouches for its key all the same.
        if (issued !== undefined && this.parts.authority.trusts(issued.issuerKeyId))
          return { kind: 'certificate', issued, identity, isNew: false };
        return this.issue(unit, identity, renewal, { source, returning: false });
      }
      case 'issue':
        return this.issue(unit, identity, renewal, { source, returning: decision.returning });
    }
  }

  private async issue(
    unit: Unit,
    before: DeviceIdentity,
    renewal: AuthenticRenewal,
    { source, returning }: { readonly source: string; readonly returning: boolean },
  ): Promise<Outcome> {
    const { deviceId, csr, parent } = renewal;
    this.parts.allowance.require(deviceId);
    const lifetimeMs = this.parts.certificateLifetimeMs;
    const signed = await this.parts.authority.issueDeviceCertificate({ deviceId, csr, lifetimeMs });
    const issued = await recordIssued(unit, signed);
    const identity = withNewCertificate(before, deviceCertificate(issued));
    await writeIdentity(unit, identity);
    const subject = deviceRecordName(deviceId);
    const details = { certificate: issued.fingerprint, parent, returned: returning };
    unit.audit.append({ actor: subject, source, action: 'device.renewed', subject, details });
    return { kind: 'certificate', issued, identity, isNew: true };
  }
}

/** Marks the device and audits, once: while a flag stands, who asks again and again writes nothing more. */
async function noteConflict(
  unit: Unit,
  identity: DeviceIdentity,
  renewal: AuthenticRenewal,
  { action, source, now }: { readonly action: ConflictAction; readonly source: string; readonly now: number },
): Promise<void> {
  if (action === 'flag' && identity.conflictAt !== null) return;
  const suspendedAt = action === 'suspend' ? now : null;
  await writeIdentity(unit, { ...identity, suspendedAt, conflictAt: now });
  const subject = deviceRecordName(identity.deviceId);
  unit.audit.append({
    actor: subject,
    source,
    action: action === 'suspend' ? 'device.suspended' : 'device.conflict',
    subject,
    details: { parent: renewal.parent, newest: identity.current?.fingerprint ?? null },
  });
}

/** What the caller brought about, and not a failure of ours. */
const REFUSALS: readonly ErrorKind[] = ['malformed', 'unauthenticated', 'wrong_state'];

const isRefusal = (error: unknown): boolean => error instanceof DomainError && REFUSALS.includes(error.kind);

/** One answer for an unknown and a revoked device and for a wrong signature, so that nobody learns which it was. */
function renewalRefused(): DomainError {
  return new DomainError(
    'unauthenticated',
    'RENEWAL_REFUSED',
    'the device is not known, was revoked, or its identity key did not sign this request; pair it again',
  );
}

const REFUSAL_TEXT: Record<RenewalRefusal, string> = {
  DEVICE_SUSPENDED: 'this device is suspended until an operator clears it',
  RENEWAL_TOO_LATE: 'the certificate expired too long ago for the device to return by itself; pair it again',
  KEY_IN_USE: 'the requested key belongs to another device; ask with a new one',
};

const refusalError = (reason: RenewalRefusal): DomainError => wrongState(reason, REFUSAL_TEXT[reason]);

const CONFLICT_TEXT: Record<ConflictAction, string> = {
  suspend: 'the device is suspended until an operator clears it',
  flag: 'pair this copy again',
};

function conflictError(action: ConflictAction): DomainError {
  return wrongState(
    'RENEWAL_CONFLICT',
    `another certificate than this copy of the device knows is its newest: the device was copied, or set back; ${CONFLICT_TEXT[action]}`,
  );
}
