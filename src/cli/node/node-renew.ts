import { renewDevice } from '../../client/device/renewal.js';
import { requireEndpoint } from '../../client/grpc/endpoint.js';
import { systemRandomBytes } from '../../random/random-bytes.js';
import type { CliContext } from '../cli-context.js';
import type { JsonOptions } from '../command-options.js';
import { startDeadline } from '../deadline.js';
import { deviceDirectory } from '../device-options.js';
import { timeText } from '../terminal/time-text.js';

export interface NodeRenewOptions extends JsonOptions {
  readonly endpoint?: string;
  readonly deviceDir?: string;
  readonly timeout?: string;
}

/** `palyra node renew`. */
export async function nodeRenew(context: CliContext, options: NodeRenewOptions): Promise<void> {
  const output = context.output(options);
  const endpoint = options.endpoint === undefined ? undefined : requireEndpoint(options.endpoint);
  const deadline = startDeadline(context, options.timeout);
  try {
    const { certificate, storeTimeFell } = await renewDevice({
      directory: deviceDirectory(context, options),
      endpoint,
      signal: deadline.signal,
      clock: context.clock,
      random: systemRandomBytes,
    });
    if (storeTimeFell) {
      output.warning(
        'STORE_TIME_FELL',
        'the store of the service is older than this device has seen it: tell an operator',
      );
    }
    const { deviceId, fingerprint } = certificate;
    const expiry = new Date(certificate.expiresAt);
    output.object({ deviceId, fingerprint, expireTime: expiry.toISOString() });
    output.fields([
      ['device', deviceId],
      ['certificate', fingerprint],
      ['expires', timeText(expiry, context.clock.now())],
    ]);
  } finally {
    deadline.clear();
  }
}
