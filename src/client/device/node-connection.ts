import { encodePem } from '../../ca/pem.js';
import { DomainError } from '../../errors/domain-error.js';
import { formatHostPort } from '../../quic/network-address.js';
import { QuicClient } from '../../quic/quic-client.js';
import { ClientError } from '../client-error.js';
import { type Endpoint, parseEndpoint } from '../grpc/endpoint.js';
import type { StoredCertificate } from './device-records.js';

export interface NodeConnection {
  readonly endpoint: Endpoint;
  readonly client: QuicClient;
}

/**
 * Connects a paired device over QUIC, trying the endpoints in turn until one is there. Throws the `DomainError` of the
 * first that refuses, or of the last that did not answer.
 */
export async function connectNode(
  certificate: StoredCertificate,
  endpoints: readonly Endpoint[],
  connectTimeoutMs: number,
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
      return { endpoint, client: await connectTo(certificate, endpoint, connectTimeoutMs) };
    } catch (error) {
      if (!(error instanceof DomainError) || error.kind !== 'unavailable') throw error;
      failure = error;
    }
  }
  throw failure;
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

async function connectTo(
  { cluster, chain, certificateKey }: StoredCertificate,
  { host, port }: Endpoint,
  connectTimeoutMs: number,
): Promise<QuicClient> {
  return QuicClient.connect({
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
}

function pemOf(certificates: readonly Buffer[]): string {
  return certificates.map((der) => encodePem('CERTIFICATE', der)).join('');
}
