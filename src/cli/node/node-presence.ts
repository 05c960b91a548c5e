import type { CliContext } from '../cli-context.js';
import { type NodeOptions, resultFields, resultOf, withNodeSession } from './node-session.js';

export interface NodeRegisterOptions extends NodeOptions {
  readonly platform?: string;
  readonly capability?: readonly string[];
}

/** `palyra node register`: tells the service what this device is and can do. */
export async function nodeRegister(context: CliContext, options: NodeRegisterOptions): Promise<void> {
  const platform = options.platform ?? `${process.platform}-${process.arch}`;
  const params = { platform, capabilities: options.capability ?? [] };
  await call(context, options, 'node.register', params);
}

/** `palyra node heartbeat`: says once that this device is there. */
export async function nodeHeartbeat(context: CliContext, options: NodeOptions): Promise<void> {
  await call(context, options, 'node.heartbeat', {});
}

async function call(
  context: CliContext,
  options: NodeOptions,
  method: string,
  params: object,
): Promise<void> {
  await withNodeSession(context, options, async ({ client, output, certificate, signal }) => {
    const result = resultOf(await client.call(method, { params, signal }));
    output.object({ deviceId: certificate.deviceId, ...result });
    output.fields([['device', certificate.deviceId], ...resultFields(result)]);
  });
}
