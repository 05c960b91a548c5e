import { malformed } from '../errors/domain-error.js';
import {
  type Device,
  type DeviceRegistration,
  DeviceState,
} from '../generated/palyra/controlplane/v1/device.js';
import type { DevicePresence } from '../presence/presence.js';
import type { Registration } from '../presence/registration.js';
import { clientKindToProto } from './client-kind-message.js';
import type { DeviceRowState } from './device.entity.js';
import { fingerprintWords } from './fingerprint.js';
import type { RegisteredDevice } from './identity-manager.js';

const STATE: Readonly<Record<DeviceRowState, DeviceState>> = {
  active: DeviceState.DEVICE_STATE_ACTIVE,
  suspended: DeviceState.DEVICE_STATE_SUSPENDED,
  revoked: DeviceState.DEVICE_STATE_REVOKED,
};

/** `undefined` for unspecified. Throws `malformed` for a number that is no state. */
export function deviceStateFromProto(state: DeviceState): DeviceRowState | undefined {
  if (state === DeviceState.DEVICE_STATE_UNSPECIFIED) return undefined;
  const found = Object.entries(STATE).find(([, proto]) => proto === state);
  if (found === undefined) throw malformed('INVALID_STATE', 'the state is none that this service knows');
  return found[0] as DeviceRowState;
}

/** `presence`: what is known of it beside the registry. */
export function deviceToProto(
  { row, openConnections }: RegisteredDevice,
  presence: DevicePresence | undefined,
): Device {
  return {
    deviceId: row.deviceId,
    state: STATE[row.state],
    clientKind: clientKindToProto(row.clientKind),
    platform: row.platform,
    identityFingerprint: Buffer.from(row.identityFingerprint, 'hex'),
    fingerprintWords: [...fingerprintWords(row.identityFingerprint)],
    pairTime: new Date(row.pairedAt),
    certificateFingerprint: Buffer.from(row.certificateFingerprint ?? '', 'hex'),
    certificateExpireTime: optionalTime(row.certificateExpiresAt),
    openConnections,
    revokedBy: row.revokedBy ?? '',
    revokeTime: optionalTime(row.revokedAt),
    revokeReason: row.revokeReason ?? '',
    conflictTime: optionalTime(row.conflictAt),
    lastSeenTime: optionalTime(presence?.lastSeenAt ?? null),
    registration: registrationToProto(presence?.registration),
  };
}

function registrationToProto(registration: Registration | undefined): DeviceRegistration | undefined {
  if (registration === undefined) return undefined;
  const { platform, capabilities, registeredAt } = registration;
  return { platform, capabilities: [...capabilities], registerTime: new Date(registeredAt) };
}

function optionalTime(unixMs: number | null): Date | undefined {
  return unixMs === null ? undefined : new Date(unixMs);
}
