import { ClientError } from '../../client/client-error.js';
import { GetDeviceResponse } from '../../generated/palyra/controlplane/v1/control_plane.js';
import type { Device, DeviceRegistration } from '../../generated/palyra/controlplane/v1/device.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { clientKindWord, deviceStateWord } from '../enum-word.js';
import { withOperatorSession } from '../operator-session.js';
import { timeText } from '../terminal/time-text.js';

/** `palyra devices show`. */
export async function showDevice(
  context: CliContext,
  deviceId: string,
  options: OperatorOptions,
): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const response = await client.getDevice({ deviceId });
    output.object(GetDeviceResponse.toJSON(response));
    if (response.device === undefined)
      throw new ClientError('failed', 'NO_ANSWER', 'the server left the device out');
    output.fields(deviceFields(response.device, now));
  });
}

function deviceFields(device: Device, now: number): [string, string][] {
  const fields: [string, string][] = [
    ['device', device.deviceId],
    ['state', deviceStateWord(device.state)],
    ['kind', clientKindWord(device.clientKind)],
    ['platform', `${device.platform} (as the device says)`],
    ['words', device.fingerprintWords.join(' ')],
    ['fingerprint', device.identityFingerprint.toString('hex')],
    ['paired', timeText(device.pairTime, now)],
    ['certificate', device.certificateFingerprint.toString('hex')],
    ['certificate ends', timeText(device.certificateExpireTime, now)],
    ['connections', String(device.openConnections)],
    ['last seen', device.lastSeenTime === undefined ? 'never' : timeText(device.lastSeenTime, now)],
    ...registrationFields(device.registration, now),
  ];
  if (device.conflictTime !== undefined) {
    fields.push(['conflict', `two copies seen ${timeText(device.conflictTime, now)}`]);
  }
  if (device.revokeTime === undefined) return fields;
  fields.push(
    ['revoked', `by ${device.revokedBy}, ${timeText(device.revokeTime, now)}`],
    ['reason', device.revokeReason],
  );
  return fields;
}

function registrationFields(registration: DeviceRegistration | undefined, now: number): [string, string][] {
  if (registration === undefined) return [];
  const { platform, capabilities, registerTime } = registration;
  return [
    ['registered', `${timeText(registerTime, now)}, as the device says:`],
    ['  platform', platform],
    ['  capabilities', capabilities.join(', ')],
  ];
}
