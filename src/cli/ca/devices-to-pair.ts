import { ListDevicesToPairResponse } from '../../generated/palyra/controlplane/v1/ca.js';
import type { Device } from '../../generated/palyra/controlplane/v1/device.js';
import type { OperatorClient } from '../../client/operator-client.js';
import { allPages } from '../all-pages.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { clientKindWord } from '../enum-word.js';
import { withOperatorSession } from '../operator-session.js';
import { relativeText } from '../terminal/time-text.js';

const HEADERS = ['DEVICE', 'KIND', 'PLATFORM', 'PAIRED', 'CERTIFICATE ENDS'];

/** `palyra ca devices-to-pair`. */
export async function listDevicesToPair(context: CliContext, options: OperatorOptions): Promise<void> {
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const devices = await allDevicesToPair(client);
    output.object(ListDevicesToPairResponse.toJSON({ devices, nextPageToken: '' }));
    const rows = devices.map((device) => [
      device.deviceId,
      clientKindWord(device.clientKind),
      device.platform,
      relativeText(device.pairTime, now),
      relativeText(device.certificateExpireTime, now),
    ]);
    output.table(HEADERS, rows, 'no device must pair again');
  });
}

async function allDevicesToPair(client: OperatorClient): Promise<Device[]> {
  return allPages(async (page) => {
    const response = await client.listDevicesToPair(page);
    return { items: response.devices, nextPageToken: response.nextPageToken };
  });
}
