import { ListDevicesResponse } from '../../generated/palyra/controlplane/v1/control_plane.js';
import type { Device } from '../../generated/palyra/controlplane/v1/device.js';
import { allPages } from '../all-pages.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { clientKindWord, deviceStateWord, readDeviceState } from '../enum-word.js';
import { withOperatorSession } from '../operator-session.js';
import { relativeText } from '../terminal/time-text.js';

export interface DeviceListOptions extends OperatorOptions {
  readonly state?: string;
}

const HEADERS = ['DEVICE', 'STATE', 'KIND', 'PLATFORM', 'PAIRED', 'CERTIFICATE ENDS', 'SEEN'];

/** `palyra devices list`. */
export async function listDevices(context: CliContext, options: DeviceListOptions): Promise<void> {
  const state = readDeviceState(options.state);
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const devices = await allPages(async (page) => {
      const response = await client.listDevices({ state, ...page });
      return { items: response.devices, nextPageToken: response.nextPageToken };
    });
    output.object(ListDevicesResponse.toJSON({ devices, nextPageToken: '' }));
    const rows = devices.map((device) => [
      device.deviceId,
      deviceStateWord(device.state),
      clientKindWord(device.clientKind),
      device.platform,
      relativeText(device.pairTime, now),
      relativeText(device.certificateExpireTime, now),
      seenText(device, now),
    ]);
    output.table(HEADERS, rows, 'no devices');
  });
}

/** Whether the device is connected to the replica that answered, else when it was last. */
function seenText({ openConnections, lastSeenTime }: Device, now: number): string {
  if (openConnections > 0) return 'online';
  return lastSeenTime === undefined ? 'never' : relativeText(lastSeenTime, now);
}
