import { requireEndpoint } from '../../client/grpc/endpoint.js';
import {
  CreatePairingCodeResponse,
  type DeepPartial,
} from '../../generated/palyra/controlplane/v1/control_plane.js';
import { PairingCodeKind, type PairingCodePolicy } from '../../generated/palyra/controlplane/v1/pairing.js';
import type { CliContext } from '../cli-context.js';
import type { OperatorOptions } from '../command-options.js';
import { readProtoAge } from '../duration-option.js';
import { clientKindWord, readClientKinds } from '../enum-word.js';
import { readCount } from '../number-option.js';
import { type OperatorSession, withOperatorSession } from '../operator-session.js';
import { timeText } from '../terminal/time-text.js';
import { QrFile } from './qr-file.js';
import { qrLines } from './qr-picture.js';

export interface CodeOptions extends OperatorOptions {
  readonly ttl?: string;
  readonly link?: boolean;
  readonly linkEndpoint?: string;
  readonly qr?: boolean;
  readonly qrFile?: string;
  readonly uses?: string;
  readonly preApproved?: boolean;
  readonly clientKind?: string;
  readonly deviceIds?: string;
}

/** `palyra pairing code`. What only a link can be makes it one. */
export async function mintCode(context: CliContext, options: CodeOptions): Promise<void> {
  const isLink =
    [options.link, options.qr, options.preApproved].includes(true) ||
    [options.linkEndpoint, options.qrFile, options.uses].some((option) => option !== undefined);
  const request = {
    kind: isLink ? PairingCodeKind.PAIRING_CODE_KIND_LINK : PairingCodeKind.PAIRING_CODE_KIND_PIN,
    linkEndpoint: options.linkEndpoint === undefined ? '' : requireEndpoint(options.linkEndpoint).text,
    policy: policyOf(options),
    ...(options.ttl === undefined ? {} : { ttl: readProtoAge('--ttl', options.ttl) }),
  };
  const file = options.qrFile === undefined ? undefined : await QrFile.reserve(options.qrFile);
  try {
    await withOperatorSession(context, options, async (session) => {
      const response = await session.client.createPairingCode(request);
      // First the code itself: whatever becomes of the pictures, it cannot be shown again.
      show(session, response, isLink);
      if (options.qr === true) session.output.picture(qrLines(response.secretText));
      await file?.write(response.secretText);
    });
  } catch (error) {
    await file?.discard();
    throw error;
  }
}

function policyOf(options: CodeOptions): DeepPartial<PairingCodePolicy> {
  return {
    // Zero on the wire is what was not said, and means one device.
    uses: options.uses === undefined ? 0 : readCount('--uses', options.uses, 1),
    preApproved: options.preApproved === true,
    clientKinds: readClientKinds('--client-kind', options.clientKind),
    deviceIdPattern: (options.deviceIds ?? '').toUpperCase(),
  };
}

function show({ output, now }: OperatorSession, response: CreatePairingCodeResponse, isLink: boolean): void {
  const { code } = response;
  output.object(CreatePairingCodeResponse.toJSON(response));
  output.line(response.secretText);
  output.line();
  output.fields([
    ['expires', timeText(code?.expireTime, now)],
    ['tries', code?.triesLeft === undefined ? 'not counted' : String(code.triesLeft)],
    ...policyFields(code?.policy),
    ['on the device', isLink ? 'palyra pairing pair' : 'palyra pairing pair --endpoint host:port'],
  ]);
}

/** Only what is not ordinary. */
function policyFields(policy: PairingCodePolicy | undefined): [string, string][] {
  if (policy === undefined) return [];
  const fields: [string, string][] = [];
  if (policy.uses > 1) fields.push(['devices', String(policy.uses)]);
  if (policy.preApproved) fields.push(['approved', 'beforehand: whoever has the link gets in']);
  if (policy.clientKinds.length > 0)
    fields.push(['only kinds', policy.clientKinds.map(clientKindWord).join(', ')]);
  if (policy.deviceIdPattern !== '') fields.push(['only ids', policy.deviceIdPattern]);
  return fields;
}
