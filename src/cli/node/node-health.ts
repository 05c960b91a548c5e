import { setTimeout } from 'node:timers/promises';
import { ClientError, stoppedBy } from '../../client/client-error.js';
import { readCertificate, type StoredCertificate } from '../../client/device/device-records.js';
import { DeviceStoreReader } from '../../client/device/device-store.js';
import { connectNode, type NodeConnection, quicEndpoints } from '../../client/device/node-connection.js';
import { notPaired } from '../../client/device/not-paired.js';
import { type Endpoint, requireEndpoint } from '../../client/grpc/endpoint.js';
import type { NodeResponse } from '../../quic/node-rpc-message.js';
import { systemRandomBytes } from '../../random/random-bytes.js';
import type { CliContext } from '../cli-context.js';
import type { JsonOptions } from '../command-options.js';
import { startDeadline } from '../deadline.js';
import { deviceDirectory } from '../device-options.js';
import type { Output } from '../terminal/output.js';

export interface NodeHealthOptions extends JsonOptions {
  readonly endpoint?: string;
  readonly deviceDir?: string;
  readonly timeout?: string;
  readonly watch?: boolean;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** With `--watch`: how long after one answer the next is asked for, milliseconds. */
const WATCH_INTERVAL_MS = 1_000;

/** `palyra node health`: asks once, or with `--watch` on one connection until that ends. */
export async function nodeHealth(context: CliContext, options: NodeHealthOptions): Promise<void> {
  const output = context.output(options);
  const given = options.endpoint === undefined ? undefined : [requireEndpoint(options.endpoint)];
  const certificate = await loadCertificate(deviceDirectory(context, options));
  const deadline = startDeadline(context, options.timeout);
  try {
    const work = withConnection(certificate, given ?? quicEndpoints(certificate), async (connection) => {
      await showHealth(output, certificate, connection, deadline.signal);
      if (options.watch === true) await watchHealth(output, certificate, connection, deadline.signal);
    });
    await Promise.race([work, aborted(deadline.signal)]);
  } finally {
    deadline.clear();
  }
}

async function loadCertificate(directory: string): Promise<StoredCertificate> {
  const store = await DeviceStoreReader.open(directory, systemRandomBytes);
  const certificate = store === undefined ? undefined : await readCertificate(store);
  store?.close();
  if (certificate !== undefined) return certificate;
  throw notPaired(directory);
}

async function withConnection(
  certificate: StoredCertificate,
  endpoints: readonly Endpoint[],
  use: (connection: NodeConnection) => Promise<void>,
): Promise<void> {
  const connection = await connectNode(certificate, endpoints, CONNECT_TIMEOUT_MS);
  try {
    await use(connection);
  } finally {
    await connection.client.close();
  }
}

/** Never returns by itself: it ends with the connection, and says how that ended. */
async function watchHealth(
  output: Output,
  certificate: StoredCertificate,
  connection: NodeConnection,
  signal: AbortSignal,
): Promise<never> {
  const closed = connection.client.closed.then(({ error }) => {
    throw error;
  });
  for (;;) {
    await Promise.race([closed, setTimeout(WATCH_INTERVAL_MS, undefined, { signal })]);
    await showHealth(output, certificate, connection, signal);
  }
}

async function showHealth(
  output: Output,
  certificate: StoredCertificate,
  { endpoint, client }: NodeConnection,
  signal: AbortSignal,
): Promise<void> {
  const response = await client.health({ signal });
  output.object(response);
  output.fields([
    ['endpoint', endpoint.text],
    ['device', certificate.deviceId],
    ['ok', String(response.ok)],
    ...resultFields(response),
  ]);
  if (response.ok) return;
  throw new ClientError('failed', 'NODE_RPC', `node.health failed: ${response.error ?? 'no reason'}`);
}

/** Rejects when `signal` aborts, also while the connection, which knows no signal, is being made. */
async function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = (): void => {
      reject(stoppedBy(signal));
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

function resultFields(response: NodeResponse): [string, string][] {
  const fields = Object.entries(response.result ?? {});
  return fields.map(([name, value]): [string, string] => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
}
