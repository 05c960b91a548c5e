import { malformed } from '../errors/domain-error.js';
import type { Duration } from '../generated/google/protobuf/duration.js';
import type { ListNodePairingRequestsRequest } from '../generated/palyra/controlplane/v1/control_plane.js';
import {
  ClientKind as ProtoClientKind,
  type NodePairingRequest,
  type PairingCode,
  PairingCodeKind,
  type PairingCodePolicy,
  PairingState,
} from '../generated/palyra/controlplane/v1/pairing.js';
import { clientKindFromProto, clientKindToProto } from '../identity/client-kind-message.js';
import type { ClientKind } from '../identity/device-identity.js';
import { fingerprintWords, identityFingerprint } from '../identity/fingerprint.js';
import type { CodePolicy } from './code-policy.js';
import type { LivePairingCode } from './pairing-codes.js';
import type { PairingRequestRow, PairingRequestState } from './pairing.entity.js';
import type { QueuedRequest, RequestFilter } from './pairing-queue.js';

/** Between the words of the domain and those of the proto. */

const STATE: Readonly<Record<PairingRequestState, PairingState>> = {
  pending_approval: PairingState.PAIRING_STATE_PENDING_APPROVAL,
  approved: PairingState.PAIRING_STATE_APPROVED,
  completed: PairingState.PAIRING_STATE_COMPLETED,
  rejected: PairingState.PAIRING_STATE_REJECTED,
  expired: PairingState.PAIRING_STATE_EXPIRED,
};

export const stateToProto = (state: PairingRequestState): PairingState => STATE[state];

/** `undefined` for unspecified. Throws `malformed` for a number that is no state. */
export function stateFromProto(state: PairingState): PairingRequestState | undefined {
  if (state === PairingState.PAIRING_STATE_UNSPECIFIED) return undefined;
  const found = Object.entries(STATE).find(([, proto]) => proto === state);
  if (found === undefined) throw malformed('INVALID_STATE', 'the state is none that this service knows');
  return found[0] as PairingRequestState;
}

/** PIN unless said otherwise. Throws `malformed` for a number that is no kind. */
export function codeKindFromProto(kind: PairingCodeKind): 'pin' | 'link' {
  switch (kind) {
    case PairingCodeKind.PAIRING_CODE_KIND_UNSPECIFIED:
    case PairingCodeKind.PAIRING_CODE_KIND_PIN:
      return 'pin';
    case PairingCodeKind.PAIRING_CODE_KIND_LINK:
      return 'link';
    case PairingCodeKind.UNRECOGNIZED:
    default:
      throw malformed('INVALID_CODE_KIND', 'the kind of code is none that this service knows');
  }
}

/** Throws `malformed` for a kind of client that is none; the rest is judged where codes are minted. */
export function policyFromProto(policy: PairingCodePolicy | undefined): Partial<CodePolicy> {
  if (policy === undefined) return {};
  const { uses, preApproved, clientKinds, deviceIdPattern } = policy;
  return {
    ...(uses === 0 ? {} : { uses }),
    preApproved,
    deviceIdPattern,
    clientKinds: clientKinds.map(kindOf),
  };
}

function policyToProto(policy: CodePolicy): PairingCodePolicy {
  return { ...policy, clientKinds: policy.clientKinds.map(clientKindToProto) };
}

export function codeToProto(code: LivePairingCode): PairingCode {
  return {
    codeId: code.codeId,
    kind:
      code.kind === 'pin' ? PairingCodeKind.PAIRING_CODE_KIND_PIN : PairingCodeKind.PAIRING_CODE_KIND_LINK,
    createdBy: code.createdBy,
    createTime: new Date(code.createdAt),
    expireTime: new Date(code.expiresAt),
    triesLeft: code.triesLeft,
    policy: policyToProto(code.policy),
    usesLeft: code.usesLeft,
  };
}

/** `mayMint`: whether the caller may mint codes, and so see the ids of live ones. */
export function requestToProto(request: QueuedRequest, mayMint: boolean): NodePairingRequest {
  const { row, record, conflict, knownDevice, knownIdentity, facts: known } = request;
  // While a decision is due, what the operator decides on is the sealed record; the row alone could be forged.
  const facts = record ?? row;
  return {
    ...decision(row),
    requestId: row.requestId,
    state: stateToProto(row.state),
    deviceId: facts.deviceId,
    clientKind: clientKindToProto(facts.clientKind),
    platform: facts.platform,
    ...fingerprint(record === undefined ? row.identityFingerprint : identityFingerprint(record.identityKey)),
    sourceAddress: facts.sourceAddress,
    codeId: request.codeIsLive && !mayMint ? '' : facts.codeId,
    codeCreatedBy: facts.codeCreatedBy,
    createTime: new Date(facts.createdAt),
    expireTime: new Date(facts.expiresAt),
    conflict: conflict ?? '',
    knownDevice,
    knownIdentityFingerprint:
      knownIdentity === undefined
        ? Buffer.alloc(0)
        : Buffer.from(identityFingerprint(knownIdentity.identityKey), 'hex'),
    keyDeviceId: known?.keyOwner ?? '',
    deviceIdRevoked: known?.deviceIdRevoked ?? false,
    keyRevoked: known?.keyRevoked ?? false,
  };
}

/** Throws `malformed` for a state or kind that is none, and for an age that is no duration. */
export function filterFromProto(request: ListNodePairingRequestsRequest): RequestFilter {
  const state = stateFromProto(request.state);
  const { clientKind, codeId, minAge, maxAge } = request;
  return {
    ...(state === undefined ? {} : { state }),
    ...(clientKind === ProtoClientKind.CLIENT_KIND_UNSPECIFIED ? {} : { clientKind: kindOf(clientKind) }),
    ...(codeId === '' ? {} : { codeId }),
    ...(minAge === undefined ? {} : { minAgeMs: ageOf(minAge) }),
    ...(maxAge === undefined ? {} : { maxAgeMs: ageOf(maxAge) }),
  };
}

function kindOf(kind: ProtoClientKind): ClientKind {
  const word = clientKindFromProto(kind);
  if (word === undefined) throw malformed('INVALID_CLIENT_KIND', 'the kind of client is none');
  return word;
}

function ageOf(age: Duration): number {
  const milliseconds = Number(age.seconds) * 1000 + age.nanos / 1_000_000;
  if (!Number.isSafeInteger(milliseconds) || milliseconds < 0)
    throw malformed('INVALID_AGE', 'an age is whole milliseconds, and not negative');
  return milliseconds;
}

function fingerprint(hex: string): Pick<NodePairingRequest, 'identityFingerprint' | 'fingerprintWords'> {
  return { identityFingerprint: Buffer.from(hex, 'hex'), fingerprintWords: [...fingerprintWords(hex)] };
}

function decision(row: PairingRequestRow): Pick<NodePairingRequest, 'decidedBy' | 'decideTime' | 'reason'> {
  return {
    decidedBy: row.decidedBy ?? '',
    decideTime: row.decidedAt === null ? undefined : new Date(row.decidedAt),
    reason: row.reason ?? '',
  };
}
