import { readCertificate, type StoredCertificate } from '../../client/device/device-records.js';
import { DeviceStoreReader } from '../../client/device/device-store.js';
import {
  connectNode,
  type NodeConnection,
  nodeFailure,
  quicEndpoints,
} from '../../client/device/node-connection.js';
import { notPaired } from '../../client/device/not-paired.js';
import { requireEndpoint } from '../../client/grpc/endpoint.js';
import { untilAborted } from '../../client/until-aborted.js';
import type { NodeResponse } from '../../quic/node-rpc-message.js';
import { responseError } from '../../quic/response-error.js';
import { systemRandomBytes } from '../../random/random-bytes.js';
import type { CliContext } from '../cli-context.js';
import type { JsonOptions } from '../command-options.js';
import { startDeadline } from '../deadline.js';
import { deviceDirectory } from '../device-options.js';
import type { Output } from '../terminal/output.js';

export interface NodeOptions extends JsonOptions {
  readonly endpoint?: string;
  readonly deviceDir?: string;
  readonly timeout?: string;
}

export interface NodeSession extends NodeConnection {
  readonly output: Output;
  readonly certificate: StoredCertificate;
  /** Path of the device store. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** Runs `use` on a connection with the certificate of this device, within `--timeout`, and closes it. */
export async function withNodeSession(
  context: CliContext,
  options: NodeOptions,
  use: (session: NodeSession) => Promise<void>,
): Promise<void> {
  const output = context.output(options);
  const given = options.endpoint === undefined ? undefined : [requireEndpoint(options.endpoint)];
  const directory = deviceDirectory(context, options);
  const certificate = await loadCertificate(directory);
  const deadline = startDeadline(context, options.timeout);
  const { signal } = deadline;
  const work = async (): Promise<void> => {
    const options = { connectTimeoutMs: CONNECT_TIMEOUT_MS, signal };
    const connection = await connectNode(certificate, given ?? quicEndpoints(certificate), options);
    try {
      await use({ ...connection, output, certificate, directory, signal });
    } catch (error) {
      throw nodeFailure(error);
    } finally {
      await connection.client.close();
    }
  };
  try {
    await untilAborted(work(), signal);
  } finally {
    deadline.clear();
  }
}

/** The result of a response. Throws a `ClientError` when the server did not answer with one. */
export function resultOf({ ok, result, ...response }: NodeResponse): object {
  if (ok) return result ?? {};
  throw nodeFailure(responseError({ ...response, ok, ...(result === undefined ? {} : { result }) }));
}

/** The fields of a result, for people. */
export function resultFields(result: object): [string, string][] {
  return Object.entries(result).map(([name, value]): [string, string] => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
}

async function loadCertificate(directory: string): Promise<StoredCertificate> {
  const store = await DeviceStoreReader.open(directory, systemRandomBytes);
  const certificate = store === undefined ? undefined : await readCertificate(store);
  store?.close();
  if (certificate !== undefined) return certificate;
  throw notPaired(directory);
}
