import { makeCsr } from '../../ca/csr-maker.js';
import type { RenewResponse } from '../../generated/palyra/controlplane/v1/node_service.js';
import { type RenewalInput, signRenewal } from '../../identity/renewal-request.js';
import type { RandomBytes } from '../../random/random-bytes.js';
import type { Clock } from '../../time/clock.js';
import { ClientError } from '../client-error.js';
import { openBundleChannel } from '../grpc/bundle-channel.js';
import { type Endpoint, parseEndpoint } from '../grpc/endpoint.js';
import { checkCertificate } from './certificate-check.js';
import { newCertificateKey } from './device-keys.js';
import {
  completeRenewal,
  type KnownCluster,
  type PendingRenewal,
  readCertificate,
  readIdentity,
  readPending,
  readRenewal,
  type StoredCertificate,
  type StoredIdentity,
  writeRenewal,
} from './device-records.js';
import { DeviceStore } from './device-store.js';
import { withBundle } from './known-cluster.js';
import { notPaired } from './not-paired.js';
import { callRenew } from './renew-call.js';
import { renewOverQuic } from './renew-over-quic.js';

export interface RenewalOptions {
  readonly directory: string;
  /** gRPC; `undefined`: where the device was told to go, over QUIC while the certificate is good, then over gRPC. */
  readonly endpoint: Endpoint | undefined;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

export interface RenewedDevice {
  readonly certificate: StoredCertificate;
  /** The store of the service is older than the device has seen it. */
  readonly storeTimeFell: boolean;
}

/**
 * Renews the device's certificate (DESIGN §7), expired or not. May be killed at any point and run again: the new key is
 * saved before it is asked for, so that the same is asked again, and the old certificate stays until the new one was
 * checked.
 *
 * Throws `usage` NOT_PAIRED, `failed` PAIRING_UNFINISHED or CERTIFICATE_REFUSED, `refused` (the server said no, or is a
 * false one), `unreachable`, `RemoteError`, and what `signal` says.
 */
export async function renewDevice(options: RenewalOptions): Promise<RenewedDevice> {
  const store = await DeviceStore.open(options.directory, options.random);
  if (store === undefined) throw notPaired(options.directory);
  try {
    return await renewInStore(store, options);
  } finally {
    store.close();
  }
}

async function renewInStore(store: DeviceStore, options: RenewalOptions): Promise<RenewedDevice> {
  // What that pairing brings is the newest certificate already, and a renewal of the one before it would be a conflict.
  const pairing = await readPending(store);
  if (pairing !== undefined && pairing.expiresAt > options.clock.now()) throw pairingUnfinished();
  const identity = await readIdentity(store);
  const certificate = await readCertificate(store);
  if (identity === undefined || certificate === undefined) throw notPaired(options.directory);
  const renewal = await pendingRenewal(store, certificate);
  const response = await ask(store, identity, certificate, renewal, options);
  return keep(store, certificate, renewal, response, options.clock);
}

/** The renewal under way, or a new one, saved. One whose certificate is here already, or whose parent is not, is over. */
async function pendingRenewal(store: DeviceStore, certificate: StoredCertificate): Promise<PendingRenewal> {
  const begun = await readRenewal(store);
  const isDone = begun?.certificateKey.equals(certificate.certificateKey) === true;
  if (begun?.parent === certificate.fingerprint && !isDone) return begun;
  const { deviceId, fingerprint } = certificate;
  const renewal = { deviceId, parent: fingerprint, certificateKey: newCertificateKey() };
  await writeRenewal(store, renewal);
  return renewal;
}

/** Over QUIC while the certificate lets the device in, else over gRPC: the same request, so that asking twice does no harm. */
async function ask(
  store: DeviceStore,
  { deviceId, identityKey }: StoredIdentity,
  certificate: StoredCertificate,
  { parent, certificateKey }: PendingRenewal,
  options: RenewalOptions,
): Promise<RenewResponse> {
  const { cluster } = certificate;
  const fields = { deviceId, parent: Buffer.from(parent, 'hex'), csr: makeCsr(certificateKey) };
  const request = signRenewal(cluster.trustDomain, fields, identityKey);
  try {
    if (options.endpoint === undefined && certificate.expiresAt > options.clock.now()) {
      const response = await renewOverQuic(certificate, request, options.signal);
      if (response !== undefined) return response;
    }
    return await askOverGrpc(cluster, request, options);
  } catch (error) {
    throw await explained(store, error);
  }
}

/** Asks at one endpoint after the other until there is an answer, or somebody who is not the server. */
async function askOverGrpc(
  cluster: KnownCluster,
  request: RenewalInput,
  { endpoint, signal }: RenewalOptions,
): Promise<RenewResponse> {
  let failure: unknown = noEndpoint();
  for (const candidate of endpoint === undefined ? knownEndpoints(cluster.grpcEndpoints) : [endpoint]) {
    try {
      return await callRenew(openBundleChannel(candidate, cluster), request, signal);
    } catch (error) {
      if (!isElsewhere(error)) throw error;
      failure = error;
    }
  }
  throw failure;
}

/** Whether the next endpoint may be the right one. */
function isElsewhere(error: unknown): boolean {
  if (!(error instanceof ClientError)) return false;
  return error.failure === 'unreachable' || error.reason === 'FALSE_SERVER';
}

/** A key that is another device's is of no use: the next run makes a new one. */
async function explained(store: DeviceStore, error: unknown): Promise<unknown> {
  if (error instanceof ClientError && error.reason === 'KEY_IN_USE') await store.delete('renewal');
  return error;
}

async function keep(
  store: DeviceStore,
  before: StoredCertificate,
  { deviceId, certificateKey }: PendingRenewal,
  { certificateChain, bundle }: RenewResponse,
  clock: Clock,
): Promise<RenewedDevice> {
  const { cluster, storeTimeFell } = withBundle(before.cluster, bundle);
  const { trustDomain, roots } = cluster;
  const expected = { deviceId, certificateKey, trustDomain, roots };
  const { chain, fingerprint, expiresAt } = checkCertificate(certificateChain, expected, clock.now());
  const certificate = { deviceId, certificateKey, chain, fingerprint, expiresAt, cluster };
  await completeRenewal(store, certificate);
  return { certificate, storeTimeFell };
}

function knownEndpoints(texts: readonly string[]): Endpoint[] {
  return [...new Set(texts)].map(parseEndpoint).filter((endpoint) => endpoint !== undefined);
}

function noEndpoint(): ClientError {
  return new ClientError('usage', 'NO_GRPC_ENDPOINT', 'the device knows no gRPC endpoint', {
    advice: 'name it with --endpoint host:port',
  });
}

function pairingUnfinished(): ClientError {
  return new ClientError('failed', 'PAIRING_UNFINISHED', 'a pairing of this device is under way', {
    advice: 'finish it first: palyra pairing pair',
  });
}
