import { malformed } from '../../errors/domain-error.js';
import {
  CertificateState as ProtoState,
  type InventoryCertificate,
  type ListCertificatesRequest,
} from '../../generated/palyra/controlplane/v1/certificate.js';
import { parseDeviceId } from '../../identity/device-id.js';
import { deviceRecordName } from '../../identity/identity-record.js';
import {
  CERTIFICATE_STATES,
  type CertificateState,
  type InventoryFilter,
  type InventoryItem,
} from './certificate-inventory.js';

const STATE: Readonly<Record<CertificateState, ProtoState>> = {
  valid: ProtoState.CERTIFICATE_STATE_VALID,
  expired: ProtoState.CERTIFICATE_STATE_EXPIRED,
  revoked: ProtoState.CERTIFICATE_STATE_REVOKED,
};

/** Throws `malformed` INVALID_DEVICE_ID or INVALID_STATE. */
export function inventoryFilterOf(request: ListCertificatesRequest): InventoryFilter {
  return {
    subjectId: request.deviceId === '' ? undefined : deviceRecordName(parseDeviceId(request.deviceId)),
    state: stateFromProto(request.state),
    expiresFrom: request.expiresFrom?.getTime(),
    expiresBefore: request.expiresBefore?.getTime(),
  };
}

function stateFromProto(state: ProtoState): CertificateState | undefined {
  if (state === ProtoState.CERTIFICATE_STATE_UNSPECIFIED) return undefined;
  const found = CERTIFICATE_STATES.find((candidate) => STATE[candidate] === state);
  if (found === undefined) throw malformed('INVALID_STATE', 'the state is none that this service knows');
  return found;
}

export function certificateToProto(item: InventoryItem): InventoryCertificate {
  return {
    sequence: BigInt(item.sequence),
    subjectId: item.subjectId,
    profile: item.profile,
    subject: item.subject,
    serial: Buffer.from(item.serial, 'hex'),
    issuerKeyId: item.issuerKeyId,
    fingerprint: Buffer.from(item.fingerprint, 'hex'),
    issueTime: new Date(item.issuedAt),
    expireTime: new Date(item.expiresAt),
    revokeTime: item.revokedAt === null ? undefined : new Date(item.revokedAt),
    state: STATE[item.state],
    current: item.current,
  };
}
