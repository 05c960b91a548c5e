import { ClientError } from '../client/client-error.js';
import {
  ClientKind,
  clientKindToJSON,
  type PairingCodeKind,
  pairingCodeKindToJSON,
  PairingState,
  pairingStateToJSON,
} from '../generated/palyra/controlplane/v1/pairing.js';
import { CertificateState, certificateStateToJSON } from '../generated/palyra/controlplane/v1/certificate.js';
import { type RootState, rootStateToJSON } from '../generated/palyra/controlplane/v1/ca.js';
import { DeviceState, deviceStateToJSON } from '../generated/palyra/controlplane/v1/device.js';

/** Values of the protocol's enumerations in the words that people read and type: `pending_approval`, `node`. */

export const clientKindWord = (kind: ClientKind): string => word(clientKindToJSON(kind), 'CLIENT_KIND_');
export const codeKindWord = (kind: PairingCodeKind): string =>
  word(pairingCodeKindToJSON(kind), 'PAIRING_CODE_KIND_');
export const pairingStateWord = (state: PairingState): string =>
  word(pairingStateToJSON(state), 'PAIRING_STATE_');
export const deviceStateWord = (state: DeviceState): string =>
  word(deviceStateToJSON(state), 'DEVICE_STATE_');
export const rootStateWord = (state: RootState): string => word(rootStateToJSON(state), 'ROOT_STATE_');

export const certificateStateWord = (state: CertificateState): string =>
  word(certificateStateToJSON(state), 'CERTIFICATE_STATE_');

/** Reads `--state` of `pairing list`; all states when it is left out. Throws a usage error. */
export function readPairingState(text: string | undefined): PairingState {
  return (
    readWord(text, pairingStateWord, [
      PairingState.PAIRING_STATE_PENDING_APPROVAL,
      PairingState.PAIRING_STATE_APPROVED,
      PairingState.PAIRING_STATE_COMPLETED,
      PairingState.PAIRING_STATE_REJECTED,
      PairingState.PAIRING_STATE_EXPIRED,
    ]) ?? PairingState.PAIRING_STATE_UNSPECIFIED
  );
}

const KINDS = [
  ClientKind.CLIENT_KIND_CLI,
  ClientKind.CLIENT_KIND_DESKTOP,
  ClientKind.CLIENT_KIND_MOBILE,
  ClientKind.CLIENT_KIND_NODE,
];

/** Reads kinds of client separated by commas; none when left out. Throws a usage error. */
export function readClientKinds(option: string, text: string | undefined): ClientKind[] {
  if (text === undefined) return [];
  return text.split(',').map((word) => {
    const found = KINDS.find((kind) => clientKindWord(kind) === word.trim().toLowerCase());
    if (found !== undefined) return found;
    throw new ClientError('usage', 'KIND', `${option} ${JSON.stringify(word)} is no kind of device`, {
      advice: `write some of ${KINDS.map(clientKindWord).join(', ')}, separated by commas`,
    });
  });
}

/** Reads `--state` of `devices list`; all states when it is left out. Throws a usage error. */
export function readDeviceState(text: string | undefined): DeviceState {
  return (
    readWord(text, deviceStateWord, [
      DeviceState.DEVICE_STATE_ACTIVE,
      DeviceState.DEVICE_STATE_SUSPENDED,
      DeviceState.DEVICE_STATE_REVOKED,
    ]) ?? DeviceState.DEVICE_STATE_UNSPECIFIED
  );
}

/** Reads `--state` of `certificates list`; those that are valid when it is left out. Throws a usage error. */
export function readCertificateState(text = 'valid'): CertificateState {
  if (text.toLowerCase() === 'all') return CertificateState.CERTIFICATE_STATE_UNSPECIFIED;
  const states = [
    CertificateState.CERTIFICATE_STATE_VALID,
    CertificateState.CERTIFICATE_STATE_EXPIRED,
    CertificateState.CERTIFICATE_STATE_REVOKED,
  ];
  return readWord(text, certificateStateWord, states, ['all']) ?? CertificateState.CERTIFICATE_STATE_VALID;
}

function readWord<Value>(
  text: string | undefined,
  wordOf: (value: Value) => string,
  values: readonly Value[],
  furtherWords: readonly string[] = [],
): Value | undefined {
  if (text === undefined) return undefined;
  const found = values.find((value) => wordOf(value) === text.toLowerCase());
  if (found !== undefined) return found;
  throw new ClientError('usage', 'STATE', `--state ${JSON.stringify(text)} is no state`, {
    advice: `write one of ${[...values.map(wordOf), ...furtherWords].join(', ')}`,
  });
}

/** `PAIRING_STATE_PENDING_APPROVAL` to `pending_approval`. */
function word(name: string, prefix: string): string {
  return name.replace(prefix, '').toLowerCase();
}
