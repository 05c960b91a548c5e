import { Client } from '@grpc/grpc-js';
import { NodeServiceService } from '../../generated/palyra/controlplane/v1/node_service.js';
import type { TrustBundle } from '../../generated/palyra/controlplane/v1/trust_bundle.js';
import { openBundleChannel } from '../grpc/bundle-channel.js';
import type { Endpoint } from '../grpc/endpoint.js';
import { unaryCall } from '../grpc/unary-call.js';
import { readCertificate, type StoredCertificate, updateCluster } from './device-records.js';
import type { DeviceStore } from './device-store.js';
import { withBundle } from './known-cluster.js';
import { notPaired } from './not-paired.js';

const CALL_TIMEOUT_MS = 30_000;

export interface KeptBundle {
  readonly certificate: StoredCertificate;
  /** The store of the service is older than the device has seen it; the bundle was not taken. */
  readonly storeTimeFell: boolean;
}

/**
 * Keeps a bundle that came over a connection which was verified against the bundle that the device has: `GetTrustBundle`
 * over gRPC, or node RPC. From no other connection may one be kept. Throws `usage` NOT_PAIRED.
 */
export async function keepBundle(
  store: DeviceStore,
  bundle: TrustBundle,
  directory: string,
): Promise<KeptBundle> {
  const certificate = await readCertificate(store);
  if (certificate === undefined) throw notPaired(directory);
  const { cluster, storeTimeFell } = withBundle(certificate.cluster, bundle);
  if (cluster === certificate.cluster) return { certificate, storeTimeFell };
  const updated = { ...certificate, cluster };
  await updateCluster(store, updated);
  return { certificate: updated, storeTimeFell };
}

/**
 * Asks for the bundle over gRPC, verified against the roots that the device has. Throws `refused` when the server shows
 * no way to one of them, `unreachable`, and `RemoteError`.
 */
export async function fetchBundle(
  endpoint: Endpoint,
  { cluster }: StoredCertificate,
  signal: AbortSignal,
): Promise<TrustBundle | undefined> {
  const target = openBundleChannel(endpoint, cluster);
  const client = new Client(target.address, target.credentials, target.options);
  try {
    const options = { timeoutMs: CALL_TIMEOUT_MS, signal };
    const response = await unaryCall({ client, target }, NodeServiceService.getTrustBundle, {}, options);
    return response.bundle;
  } finally {
    client.close();
  }
}
