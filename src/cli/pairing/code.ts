import { requireEndpoint } from '../../client/grpc/endpoint.js';
import { CreatePairingCodeResponse } from '../../generated/palyra/controlplane/v1/control_plane.js';
import { PairingCodeKind } from '../../generated/palyra/controlplane/v1/pairing.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { readDuration } from '../deadline.js';
import { withOperatorSession } from '../operator-session.js';
import { timeText } from '../terminal/time-text.js';

export interface CodeOptions extends OperatorOptions {
  readonly ttl?: string;
  readonly link?: boolean;
  readonly linkEndpoint?: string;
}

/** `palyra pairing code`. */
export async function mintCode(context: CliContext, options: CodeOptions): Promise<void> {
  const isLink = options.link === true || options.linkEndpoint !== undefined;
  const ttl = options.ttl === undefined ? {} : { ttl: durationOf(readDuration('--ttl', options.ttl)) };
  const linkEndpoint = options.linkEndpoint === undefined ? '' : requireEndpoint(options.linkEndpoint).text;
  await withOperatorSession(context, options, async ({ client, output, now }) => {
    const kind = isLink ? PairingCodeKind.PAIRING_CODE_KIND_LINK : PairingCodeKind.PAIRING_CODE_KIND_PIN;
    const response = await client.createPairingCode({ kind, linkEndpoint, ...ttl });
    output.object(CreatePairingCodeResponse.toJSON(response));
    output.line(response.secretText);
    output.line();
    output.fields([
      ['expires', timeText(response.code?.expireTime, now)],
      ['tries', response.code?.triesLeft === undefined ? 'not counted' : String(response.code.triesLeft)],
      ['on the device', isLink ? 'palyra pairing pair' : 'palyra pairing pair --endpoint host:port'],
    ]);
  });
}

function durationOf(milliseconds: number): { seconds: bigint; nanos: number } {
  return { seconds: BigInt(Math.floor(milliseconds / 1000)), nanos: (milliseconds % 1000) * 1_000_000 };
}
