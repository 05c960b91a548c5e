import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeCsr } from '../../src/ca/csr-maker.js';
import type { DeviceStore as DeviceStoreType } from '../../src/client/device/device-store.js';
import { DeviceStore } from '../../src/client/device/device-store.js';
import {
  completeRenewal,
  readIdentity,
  readRenewal,
  type StoredCertificate,
  writeRenewal,
} from '../../src/client/device/device-records.js';
import { newCertificateKey } from '../../src/client/device/device-keys.js';
import { callRenew } from '../../src/client/device/renew-call.js';
import { renewDevice } from '../../src/client/device/renewal.js';
import { openBundleChannel } from '../../src/client/grpc/bundle-channel.js';
import { requireEndpoint } from '../../src/client/grpc/endpoint.js';
import { OperatorClient } from '../../src/client/operator-client.js';
import { operatorCredential } from '../../src/client/operator-credential.js';
import { parseSettings } from '../../src/config/settings.js';
import { toBase64 } from '../../src/encoding/base64.js';
import { signRenewal } from '../../src/identity/renewal-request.js';
import { type RunningService, startService } from '../../src/main.js';
import { createLogger } from '../../src/observability/logger.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { systemClock } from '../../src/time/clock.js';
import { TestDevice, approving, failureOf, mintPin, reasonOf } from '../e2e/paired-device.js';

/** Node RPC on a service that was really started, in this process. */
describe('node RPC', () => {
  const dataDir = join(mkdtempSync(join(tmpdir(), 'palyra-node-rpc-')), 'data');
  const devices: TestDevice[] = [];
  let service: RunningService;
  let operator: OperatorClient;

  beforeAll(async () => {
    const environment = {
      PALYRA_DATA_DIR: dataDir,
      PALYRA_GRPC_LISTEN: '127.0.0.1:0',
      PALYRA_QUIC_LISTEN: '127.0.0.1:0',
      PALYRA_HTTP_LISTEN: '127.0.0.1:0',
      PALYRA_SHUTDOWN_GRACE: '200ms',
      PALYRA_QUIC_LINGER: '100ms',
      PALYRA_QUIC_OVERLAP: '2s',
      PALYRA_RENEWAL_REFUSALS_PER_MINUTE_PER_ADDRESS: '10',
    };
    const logger = createLogger({ level: 'fatal', format: 'json', sink: { write: () => undefined } });
    service = await startService(parseSettings({ environment }).settings, { logger });
    const token = readFileSync(join(dataDir, 'admin-token'), 'utf8').trim();
    operator = await OperatorClient.connect(requireEndpoint(service.grpcAddress), operatorCredential(token));
  });

  afterAll(async () => {
    operator.close();
    for (const device of devices) await device.remove();
    await service.close();
    rmSync(join(dataDir, '..'), { recursive: true });
  });

  async function newDevice(): Promise<TestDevice> {
    const device = await TestDevice.create();
    devices.push(device);
    await device.pair(requireEndpoint(service.grpcAddress), await mintPin(operator), approving(operator));
    return device;
  }

  async function inStore<T>(device: TestDevice, use: (store: DeviceStoreType) => Promise<T>): Promise<T> {
    const store = (await DeviceStore.open(device.directory, systemRandomBytes))!;
    try {
      return await use(store);
    } finally {
      store.close();
    }
  }

  /** As `palyra node renew`: over QUIC, since the certificate is good. */
  async function renew(device: TestDevice): Promise<StoredCertificate> {
    const { certificate } = await renewDevice({
      directory: device.directory,
      endpoint: undefined,
      signal: new AbortController().signal,
      clock: systemClock,
      random: systemRandomBytes,
    });
    device.certificate = certificate;
    return certificate;
  }

  /** Begins a renewal as the command does, and returns the params that it asks with. */
  async function begun(device: TestDevice): Promise<Record<string, string>> {
    const { deviceId, fingerprint: parent, cluster } = device.paired;
    return inStore(device, async (store) => {
      await writeRenewal(store, { deviceId, parent, certificateKey: newCertificateKey() });
      const { certificateKey } = (await readRenewal(store))!;
      const { identityKey } = (await readIdentity(store))!;
      const fields = { deviceId, parent: Buffer.from(parent, 'hex'), csr: makeCsr(certificateKey) };
      const signed = signRenewal(cluster.trustDomain, fields, identityKey);
      return {
        device_id: signed.deviceId,
        parent: toBase64(signed.parent),
        csr: toBase64(signed.csr),
        signature: toBase64(signed.signature),
      };
    });
  }

  it('renews, and gives the same certificate again when the answer was lost', async () => {
    const device = await newDevice();
    const params = await begun(device);
    const lostRenewal = await inStore(device, readRenewal);
    const { client } = await device.connect();
    const lost = await client.call('node.renew', { params });
    expect(lost).toMatchObject({ kind: 'result', ok: true });
    await client.close();

    // Nothing listens for gRPC where this device would look: only QUIC can bring the answer.
    const { cluster } = device.paired;
    await inStore(device, async (store) => {
      await completeRenewal(store, {
        ...device.paired,
        cluster: { ...cluster, grpcEndpoints: ['127.0.0.1:1'] },
      });
      await writeRenewal(store, lostRenewal!);
    });
    const kept = await renew(device);
    const { certificate_chain: chain } = lost.result as { certificate_chain: string[] };
    expect(kept.chain.map(toBase64)).toEqual(chain);
    const { device: listed } = await operator.getDevice({ deviceId: kept.deviceId });
    expect(listed?.certificateFingerprint.toString('hex')).toBe(kept.fingerprint);
    expect((await device.attempt()).answers).toMatchObject([{ ok: true }]);
  });

  it('lets the old connection live through the overlap and no longer', async () => {
    const device = await newDevice();
    const old = await device.connect();
    await old.client.health();
    await renew(device);
    const oldEnd = old.client.closed.then(({ code }) => ({ code, at: performance.now() }));
    const { client } = await device.connect();
    const admittedAt = performance.now();
    await client.health();
    expect((await old.client.health()).ok).toBe(true);
    const { code, at } = await oldEnd;
    expect(code).toBe(5);
    // The overlap began when the server admitted the new one, a little before its client knew.
    expect(at - admittedAt).toBeGreaterThan(1_500);
    expect((await client.health()).ok).toBe(true);
    await client.close();
  });

  it.each<[string, (params: Record<string, string>) => object, string]>([
    ['a parent that is missing', ({ parent: _parent, ...rest }) => rest, 'INVALID_PARAMS'],
    ['a field too many', (params) => ({ ...params, extra: '' }), 'INVALID_PARAMS'],
    [
      'a signature without padding',
      (p) => ({ ...p, signature: p['signature']?.replace(/=+$/, '') }),
      'INVALID_PARAMS',
    ],
    ['a short parent', (params) => ({ ...params, parent: 'AAAA' }), 'INVALID_PARENT'],
    [
      'another device id',
      (params) => ({ ...params, device_id: '01ARZ3NDEKTSV4RRFFQ69G5FAV' }),
      'OTHER_DEVICE',
    ],
    [
      'a foreign signature',
      (params) => ({ ...params, signature: toBase64(Buffer.alloc(64, 1)) }),
      'RENEWAL_REFUSED',
    ],
  ])('refuses to renew with %s', async (_name, change, reason) => {
    const device = devices[0]!;
    const params = await begun(device);
    const { client } = await device.connect();
    const answer = await client.call('node.renew', { params: change(params) });
    expect(answer).toMatchObject({ ok: false, kind: 'error', result: { reason } });
    await client.close();
  });

  it('closes the connections of a device of which two copies renew', async () => {
    const device = await newDevice();
    const params = await begun(device);
    await renew(device);
    const { client } = await device.connect();
    const own = await begun(device);
    const setBack = { ...own, parent: params['parent']! };
    const { deviceId, cluster } = device.paired;
    const identity = await inStore(device, readIdentity);
    const fields = {
      deviceId,
      parent: Buffer.from(setBack.parent, 'base64'),
      csr: Buffer.from(own['csr']!, 'base64'),
    };
    const { signature } = signRenewal(cluster.trustDomain, fields, identity!.identityKey);
    const failure = await failureOf(
      client.call('node.renew', { params: { ...setBack, signature: toBase64(signature) } }),
    );
    expect(reasonOf(failure)).toBe('SUSPENDED');
    expect((await client.closed).code).toBe(6);
    expect(reasonOf(await failureOf(renew(device)))).toBe('DEVICE_SUSPENDED');
  });

  it('renews although strangers behind the same address are put off', async () => {
    const device = await newDevice();
    const { deviceId, cluster } = device.paired;
    const target = openBundleChannel(requireEndpoint(service.grpcAddress), cluster);
    const forged = { deviceId, parent: Buffer.alloc(32), csr: Buffer.alloc(1), signature: Buffer.alloc(64) };
    const ask = (): Promise<unknown> => callRenew(target, forged, new AbortController().signal);
    for (let i = 0; i < 10; i++) await failureOf(ask());
    expect(reasonOf(await failureOf(ask()))).toBe('TOO_MANY_REFUSALS');
    await renew(device);
  });

  it('tells the roots in force', async () => {
    const { client } = await devices[0]!.connect();
    const { result } = await client.call('node.trust_bundle');
    const { cluster } = devices[0]!.paired;
    expect(result).toMatchObject({ trust_domain: cluster.trustDomain, roots: cluster.roots.map(toBase64) });
    await client.close();
  });
});
