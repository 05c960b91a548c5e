import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerUnaryCall, ServiceError, sendUnaryData } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { makeCsr } from '../../src/ca/csr-maker.js';
import { requestedKeyHash, verifyCsr } from '../../src/ca/csr.js';
import { DEFAULT_CERT_VALIDITY } from '../../src/ca/issued-certificate.js';
import { ClientError } from '../../src/client/client-error.js';
import { newCertificateKey, newIdentity } from '../../src/client/device/device-keys.js';
import {
  completePairing,
  completeRenewal,
  readCertificate,
  readRenewal,
  type StoredCertificate,
  writeRenewal,
} from '../../src/client/device/device-records.js';
import { DeviceStore } from '../../src/client/device/device-store.js';
import { renewDevice, type RenewedDevice } from '../../src/client/device/renewal.js';
import {
  NodeServiceService,
  type RenewRequest,
  type RenewResponse,
} from '../../src/generated/palyra/controlplane/v1/node_service.js';
import type { TrustBundle } from '../../src/generated/palyra/controlplane/v1/trust_bundle.js';
import { newDeviceId } from '../../src/identity/device-id.js';
import { rawIdentityKey } from '../../src/identity/ed25519.js';
import { parseRenewalRequest, verifyRenewal } from '../../src/identity/renewal-request.js';
import { systemClock } from '../../src/time/clock.js';
import { TestCa, verifiedCsr } from '../ca/test-ca.js';
import { domainStatus } from './domain-status.js';
import { type RunningServer, startGrpcServer } from './grpc-server.js';

type Renew = (request: RenewRequest) => Promise<RenewResponse>;

describe('renewal by a device', () => {
  let ca: TestCa;
  let parent: string;
  let directory: string;
  let server: RunningServer;
  let certificate: StoredCertificate;
  let identityKey: Buffer;
  /** What the server was asked, and what it does with it. */
  let requests: RenewRequest[];
  let renew: Renew;

  beforeAll(async () => {
    ca = await TestCa.create();
  });

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'palyra-renew-'));
    directory = join(parent, 'device');
    requests = [];
    renew = (request) => certify(request);
    server = await startGrpcServer(await ca.server(), [[NodeServiceService, { renew: serve }]]);
    await storePaired();
  });

  afterEach(async () => {
    server.close();
    await rm(parent, { recursive: true });
  });

  function serve(
    call: ServerUnaryCall<RenewRequest, RenewResponse>,
    answer: sendUnaryData<RenewResponse>,
  ): void {
    requests.push(call.request);
    renew(call.request).then(
      (response) => {
        answer(null, response);
      },
      (error: unknown) => {
        answer(error as ServiceError);
      },
    );
  }

  const bundle = (changes: Partial<TrustBundle> = {}): TrustBundle => ({
    trustDomain: ca.trustDomain,
    roots: [...ca.bundle.roots],
    epoch: 7n,
    sequence: 9n,
    ...changes,
  });

  async function certify(
    { deviceId, csr }: Pick<RenewRequest, 'deviceId' | 'csr'>,
    by = ca,
    told = bundle(),
  ): Promise<RenewResponse> {
    const order = { deviceId, csr: verifyCsr(csr), lifetimeMs: DEFAULT_CERT_VALIDITY };
    const { der, issuedAt, expiresAt } = await by.authority.issueDeviceCertificate(order);
    return {
      certificateChain: [der, ...by.bundle.roots],
      bundle: told,
      issuedAtMs: BigInt(issuedAt),
      expiresAtMs: BigInt(expiresAt),
    };
  }

  const refusing =
    (reason: string): Renew =>
    () =>
      Promise.reject(Object.assign(new Error(reason), domainStatus(status.FAILED_PRECONDITION, reason, '')));

  async function storePaired(): Promise<void> {
    const identity = newIdentity(systemClock, randomBytes);
    identityKey = rawIdentityKey(identity.identityKey);
    const { chain, key, fingerprint, deviceId } = await pairedWith(identity.deviceId);
    certificate = {
      deviceId,
      certificateKey: key,
      chain,
      fingerprint,
      expiresAt: Date.now() - 1,
      cluster: {
        trustDomain: ca.trustDomain,
        roots: ca.bundle.roots,
        grpcEndpoints: ['127.0.0.1:1', server.endpoint.text],
        quicEndpoints: [],
        epoch: 7,
        sequence: 8,
      },
    };
    const store = await DeviceStore.create(directory, randomBytes);
    await completePairing(store, identity, certificate);
    store.close();
  }

  async function pairedWith(deviceId: string): Promise<{
    deviceId: string;
    chain: Buffer[];
    key: ReturnType<typeof newCertificateKey>;
    fingerprint: string;
  }> {
    const key = newCertificateKey();
    const order = { deviceId, csr: verifyCsr(makeCsr(key)), lifetimeMs: DEFAULT_CERT_VALIDITY };
    const { der, fingerprint } = await ca.authority.issueDeviceCertificate(order);
    return { deviceId, chain: [der], key, fingerprint };
  }

  const run = (signal = new AbortController().signal): Promise<RenewedDevice> =>
    renewDevice({
      directory,
      endpoint: undefined,
      signal,
      clock: systemClock,
      random: randomBytes,
    });

  async function inStore<T>(work: (store: DeviceStore) => Promise<T>): Promise<T> {
    const store = (await DeviceStore.open(directory, randomBytes))!;
    try {
      return await work(store);
    } finally {
      store.close();
    }
  }

  const sealed = async (): Promise<string[]> =>
    (await readdir(directory)).filter((name) => name.endsWith('.sealed')).sort();

  const failure = (work: Promise<unknown>): Promise<unknown> => work.then(String, (error: unknown) => error);

  it('asks with the certificate it has, for a new key, in the name of its identity', async () => {
    await run();
    const request = parseRenewalRequest(requests[0]!);
    const asked = await verifyRenewal(request, ca.trustDomain, identityKey);
    expect(asked).toMatchObject({ deviceId: certificate.deviceId, parent: certificate.fingerprint });
    const kept = (await inStore(readCertificate))!;
    expect(requestedKeyHash(makeCsr(kept.certificateKey))).toBe(requestedKeyHash(request.csr));
    expect(kept.certificateKey.equals(certificate.certificateKey)).toBe(false);
    expect(kept.cluster).toEqual({ ...certificate.cluster, epoch: 7, sequence: 9 });
  });

  it('asks for the same key until it has an answer', async () => {
    renew = () => Promise.reject(Object.assign(new Error('lost'), { code: status.INTERNAL }));
    await failure(run());
    await failure(run());
    renew = (request) => certify(request);
    await run();
    expect(requests[1]).toEqual({ ...requests[0], csr: requests[1]!.csr, signature: requests[1]!.signature });
    const keys = requests.map(({ csr }) => requestedKeyHash(csr));
    expect(new Set(keys).size).toBe(1);
    await run();
    expect(requestedKeyHash(requests[3]!.csr)).not.toBe(keys[0]);
  });

  it.each<[string, Renew]>([
    ['is for another key', ({ deviceId }) => certify({ deviceId, csr: verifiedCsr().csr.der })],
    ['is for another device', ({ csr }) => certify({ deviceId: newDeviceId(systemClock, randomBytes), csr })],
    [
      'is of another CA',
      async (request) => certify(request, await TestCa.create({ trustDomain: ca.trustDomain })),
    ],
    ['is missing', async (request) => ({ ...(await certify(request)), certificateChain: [] })],
  ])('keeps what it has when the certificate in the answer %s', async (_name, answer) => {
    renew = answer;
    expect(await failure(run())).toMatchObject({ failure: 'failed', reason: 'CERTIFICATE_REFUSED' });
    expect((await inStore(readCertificate))!.fingerprint).toBe(certificate.fingerprint);
    expect(await inStore(readRenewal)).toMatchObject({ parent: certificate.fingerprint });
  });

  it('says so when the store of the service is older than it was, and keeps the newer bundle', async () => {
    renew = (request) => certify(request, ca, bundle({ sequence: 3n }));
    const { storeTimeFell } = await run();
    expect(storeTimeFell).toBe(true);
    expect((await inStore(readCertificate))!.cluster).toEqual(certificate.cluster);
  });

  it.each(['RENEWAL_REFUSED', 'RENEWAL_TOO_LATE', 'RENEWAL_CONFLICT', 'DEVICE_SUSPENDED'])(
    'is refused for good with %s, and keeps its key for when that was mended',
    async (reason) => {
      renew = refusing(reason);
      expect(await failure(run())).toMatchObject({ failure: 'refused', reason });
      expect(await sealed()).toEqual(['certificate.sealed', 'identity.sealed', 'renewal.sealed']);
    },
  );

  it('makes a new key when the one it asked for is another device’s', async () => {
    renew = refusing('KEY_IN_USE');
    expect(await failure(run())).toMatchObject({ failure: 'refused', reason: 'KEY_IN_USE' });
    expect(await sealed()).toEqual(['certificate.sealed', 'identity.sealed']);
  });

  it('was killed after the new certificate was saved: the renewal is over, and a new one begins', async () => {
    const { certificateKey, deviceId } = certificate;
    await inStore((store) => writeRenewal(store, { deviceId, parent: 'ab'.repeat(32), certificateKey }));
    await run();
    expect(requests[0]!.parent.toString('hex')).toBe(certificate.fingerprint);
    expect(await sealed()).toEqual(['certificate.sealed', 'identity.sealed']);
  });

  it('ends at once when it is stopped while it looks for a QUIC door that does not answer', async () => {
    const silent = createSocket('udp4');
    silent.bind(0, '0.0.0.0');
    await once(silent, 'listening');
    const { port } = silent.address();
    // Each would be given three seconds.
    const quicEndpoints = Array.from({ length: 40 }, (_, index) => `127.0.1.${index + 1}:${port}`);
    const cluster = { ...certificate.cluster, grpcEndpoints: [], quicEndpoints };
    const expiresAt = Date.now() + 3_600_000;
    await inStore((store) => completeRenewal(store, { ...certificate, expiresAt, cluster }));
    const stop = new AbortController();
    const outcome = failure(run(stop.signal));
    await once(silent, 'message');
    const passed = new ClientError('timeout', 'TIMEOUT', '1s have passed');
    stop.abort(passed);
    expect(await outcome).toBe(passed);
    silent.close();
    expect(requests).toEqual([]);
  });

  it('is for paired devices', async () => {
    await inStore((store) => store.delete('certificate'));
    expect(await failure(run())).toMatchObject({ failure: 'usage', reason: 'NOT_PAIRED' });
    directory = join(parent, 'nothing');
    expect(await failure(run())).toMatchObject({ failure: 'usage', reason: 'NOT_PAIRED' });
    expect(requests).toEqual([]);
  });
});
