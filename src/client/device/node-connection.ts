import { encodePem } from '../../ca/pem.js';
import { DomainError, type ErrorKind } from '../../errors/domain-error.js';
import { formatHostPort } from '../../network/network-address.js';
import { QuicClient } from '../../quic/quic-client.js';
import { ClientError, type ClientFailure } from '../client-error.js';
import { type Endpoint, parseEndpoint } from '../grpc/endpoint.js';
import { untilAborted } from '../until-aborted.js';
import type { StoredCertificate } from './device-records.js';
import { NODE_ADVICE } from './node-advice.js';

export interface NodeConnection {
  readonly endpoint: Endpoint;
  readonly client: QuicClient;
}

export interface ConnectNodeOptions {
  /** For one endpoint. */
  readonly connectTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Connects a paired device over QUIC, trying the endpoints in turn until one is there. Throws a `ClientError`: `refused`
 * by the first that does, `unreachable` when none answered, and what `signal` says.
 */
export async function connectNode(
  certificate: StoredCertificate,
  endpoints: readonly Endpoint[],
  options: ConnectNodeOptions,
): Promise<NodeConnection> {
  let failure: unknown = new ClientError(
    'usage',
    'NO_QUIC_ENDPOINT',
    'the server told no QUIC endpoint at pairing',
    {
      advice: 'name it with --endpoint host:port',
    },
  );
  for (const endpoint of endpoints) {
    try {
      return { endpoint, client: await connectTo(certificate, endpoint, options) };
    } catch (error) {
      if (!(error instanceof DomainError) || error.kind !== 'unavailable') throw nodeFailure(error);
      failure = error;
    }
  }
  throw nodeFailure(failure);
}

/** Where the device may find QUIC: on the host it dialled at pairing with the ports it was told, then as it was told. */
export function quicEndpoints({ cluster }: StoredCertificate): Endpoint[] {
  const told = endpointsOf(cluster.quicEndpoints);
  const [dialled] = endpointsOf(cluster.grpcEndpoints.slice(0, 1));
  const onDialled =
    dialled === undefined ? [] : told.map(({ port }) => formatHostPort({ host: dialled.host, port }));
  return endpointsOf([...new Set([...onDialled, ...told.map(({ text }) => text)])]);
}

function endpointsOf(texts: readonly string[]): Endpoint[] {
  return texts.map(parseEndpoint).filter((endpoint) => endpoint !== undefined);
}

/** How QUIC says that a connection did not come about or ended, in the client's terms; other errors as they are. */
export function nodeFailure(error: unknown): unknown {
  if (!(error instanceof DomainError)) return error;
  const { kind, reason, message, retryAfterMs } = error;
  const failure = FAILURE_OF_REASON[reason] ?? FAILURE_OF_KIND[kind] ?? 'failed';
  return new ClientError(failure, reason, message, {
    advice: NODE_ADVICE[reason],
    retryAfterMs,
    cause: error,
  });
}

/** Malformed, but by nothing that was typed. */
const FAILURE_OF_REASON: Readonly<Record<string, ClientFailure>> = {
  IDENTITY_UNUSABLE: 'failed',
  INVALID_RESPONSE: 'failed',
  PROTOCOL_MISMATCH: 'failed',
  UNSUPPORTED_METHOD: 'failed',
};

const FAILURE_OF_KIND: Partial<Record<ErrorKind, ClientFailure>> = {
  malformed: 'usage',
  unauthenticated: 'refused',
  forbidden: 'refused',
  unavailable: 'unreachable',
  timeout: 'unreachable',
};

async function connectTo(
  { cluster, chain, certificateKey }: StoredCertificate,
  { host, port }: Endpoint,
  { connectTimeoutMs, signal }: ConnectNodeOptions,
): Promise<QuicClient> {
  const connecting = QuicClient.connect({
    host,
    port,
    trustDomain: cluster.trustDomain,
    roots: pemOf(cluster.roots),
    identity: {
      chain: pemOf(chain),
      key: certificateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    },
    connectTimeoutMs,
  });
  return untilAborted(connecting, signal, (late) => late.close());
}

function pemOf(certificates: readonly Buffer[]): string {
  return certificates.map((der) => encodePem('CERTIFICATE', der)).join('');
}
