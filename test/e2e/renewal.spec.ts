import { access, cp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeCsr } from '../../src/ca/csr-maker.js';
import type { ClientError } from '../../src/client/client-error.js';
import { newCertificateKey } from '../../src/client/device/device-keys.js';
import {
  readIdentity,
  writeRenewal,
  type StoredCertificate,
} from '../../src/client/device/device-records.js';
import { DeviceStore } from '../../src/client/device/device-store.js';
import { callRenew } from '../../src/client/device/renew-call.js';
import { renewDevice } from '../../src/client/device/renewal.js';
import { openBundleChannel } from '../../src/client/grpc/bundle-channel.js';
import type { Endpoint } from '../../src/client/grpc/endpoint.js';
import type { OperatorClient } from '../../src/client/operator-client.js';
import { DeviceState } from '../../src/generated/palyra/controlplane/v1/device.js';
import { signRenewal } from '../../src/identity/renewal-request.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { systemClock } from '../../src/time/clock.js';
import { TestCa } from '../ca/test-ca.js';
import { startGrpcServer } from '../cli/grpc-server.js';
import { PalyraCommand, objectsOf, palyra } from './palyra-command.js';
import { TestDevice, failureOf, mintPin, approving, pairedDevice, reasonOf } from './paired-device.js';
import { ServiceProcess } from './service-process.js';

/** Renewal over real sockets, with certificates that live for seconds. */
describe('renewal', () => {
  const settings: Record<string, string> = { PALYRA_CERT_VALIDITY: '3s' };
  let service: ServiceProcess;
  let operator: OperatorClient;
  let device: TestDevice;
  const devices: TestDevice[] = [];

  beforeAll(async () => {
    service = await ServiceProcess.start(settings);
    operator = await service.operator();
    device = await newDevice();
  });

  afterAll(async () => {
    for (const made of devices) await made.remove();
    await service.remove();
  });

  async function newDevice(): Promise<TestDevice> {
    const made = await pairedDevice(service, operator);
    devices.push(made);
    return made;
  }

  /** As `palyra node renew`, without a process of its own. */
  async function renew(of = device, endpoint?: Endpoint): Promise<StoredCertificate> {
    const { certificate } = await renewDevice({
      directory: of.directory,
      endpoint,
      signal: new AbortController().signal,
      clock: systemClock,
      random: systemRandomBytes,
    });
    of.certificate = certificate;
    return certificate;
  }

  const renewCommand = (of: TestDevice): string[] => [
    'node',
    'renew',
    '--json',
    '--device-dir',
    of.directory,
  ];

  const expired = (): Promise<void> => sleep(Math.max(0, device.paired.expiresAt + 1 - Date.now()));

  const isThere = (path: string): Promise<boolean> =>
    access(path).then(
      () => true,
      () => false,
    );

  it('gives a device a new certificate, and leaves the connection on the old one open', async () => {
    const before = device.paired;
    const { client } = await device.connect();
    const after = await renew();
    expect(after.fingerprint).not.toBe(before.fingerprint);
    expect(after.certificateKey.equals(before.certificateKey)).toBe(false);
    expect(after.cluster.sequence).toBeGreaterThan(before.cluster.sequence);
    expect((await device.attempt()).answers).toMatchObject([{ ok: true }]);
    expect((await client.health()).ok).toBe(true);
    await client.close();
    expect(await device.records()).toEqual(['certificate.sealed', 'identity.sealed']);
  });

  it('lets an expired device return, by the command', async () => {
    await expired();
    expect((await device.attempt()).answers).toEqual([]);
    const finished = await palyra(renewCommand(device));
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    const [shown] = objectsOf(finished.stdout);
    const { device: listed } = await operator.getDevice({ deviceId: device.paired.deviceId });
    expect(shown).toMatchObject({
      deviceId: device.paired.deviceId,
      fingerprint: listed?.certificateFingerprint.toString('hex'),
    });
    await renew();
    expect((await device.attempt()).answers).toMatchObject([{ ok: true }]);
  });

  it('gives the same certificate again when the answer was lost', async () => {
    const { deviceId, fingerprint: parent, cluster } = await renew();
    const certificateKey = newCertificateKey();
    const store = (await DeviceStore.open(device.directory, systemRandomBytes))!;
    await writeRenewal(store, { deviceId, parent, certificateKey });
    const { identityKey } = (await readIdentity(store))!;
    store.close();
    const fields = { deviceId, parent: Buffer.from(parent, 'hex'), csr: makeCsr(certificateKey) };
    const request = signRenewal(cluster.trustDomain, fields, identityKey);
    const target = openBundleChannel(service.grpc, cluster);
    const lost = await callRenew(target, request, new AbortController().signal);

    const kept = await renew();
    expect(kept.chain).toEqual(lost.certificateChain);
    expect(kept.certificateKey.equals(certificateKey)).toBe(true);
  });

  it('goes on after the command was killed, whether or not the service had answered', async () => {
    const pending = join(device.directory, 'renewal.sealed');
    for (const afterMs of [0, 15, 40]) {
      const command = new PalyraCommand(renewCommand(device));
      while (!(await isThere(pending))) await sleep(1);
      await sleep(afterMs);
      command.signal('SIGKILL');
      await command.ended;
      await renew();
      expect((await device.attempt()).answers).toMatchObject([{ ok: true }]);
      expect(await device.records()).toEqual(['certificate.sealed', 'identity.sealed']);
    }
  });

  it('does not speak to a server that is not of its cluster', async () => {
    const foreign = await TestCa.create({ trustDomain: device.paired.cluster.trustDomain });
    const server = await startGrpcServer(await foreign.server(), []);
    const error = await failureOf(renew(device, server.endpoint));
    server.close();
    expect(error).toMatchObject({ failure: 'refused', reason: 'FALSE_SERVER' });
  });

  it('waits for a pairing that is under way', async () => {
    await device.pairUntilWaiting(service.grpc, await mintPin(operator));
    expect(await failureOf(renew())).toMatchObject({ failure: 'failed', reason: 'PAIRING_UNFINISHED' });
    await device.resume(approving(operator));
    await renew();
  });

  it('suspends a device of which there are two copies, until an operator clears it', async () => {
    const copy = await TestDevice.create();
    devices.push(copy);
    await cp(device.directory, copy.directory, { recursive: true });
    await renew();
    const { client } = await device.connect();

    expect(reasonOf(await failureOf(renew(copy, service.grpc)))).toBe('RENEWAL_CONFLICT');
    const { code, error } = await client.closed;
    expect({ code, reason: error.reason }).toEqual({ code: 6, reason: 'SUSPENDED' });
    expect((await device.attempt()).answers).toEqual([]);
    const finished = await palyra(renewCommand(copy));
    expect(finished.code).toBe(3);
    expect(JSON.parse(finished.stderr)).toMatchObject({ error: 'DEVICE_SUSPENDED', exitCode: 3 });
    const { deviceId } = device.paired;
    expect((await operator.getDevice({ deviceId })).device).toMatchObject({
      state: DeviceState.DEVICE_STATE_SUSPENDED,
    });

    await operator.clearDevice({ deviceId, reason: 'the copy is gone' });
    await renew();
    expect((await device.attempt()).answers).toMatchObject([{ ok: true }]);
  });

  it('gives a revoked device nothing', async () => {
    const lost = await newDevice();
    await operator.revokeDevice({ deviceId: lost.paired.deviceId, reason: 'lost' });
    expect(await failureOf(renew(lost))).toMatchObject({ failure: 'refused', reason: 'RENEWAL_REFUSED' });
  });

  it('is over with the grace that the settings give', async () => {
    await renew();
    settings['PALYRA_RETURN_GRACE'] = '0s';
    await service.restart();
    await expired();
    const error = await failureOf(renew());
    expect(error).toMatchObject({ failure: 'refused', reason: 'RENEWAL_TOO_LATE' });
    expect((error as ClientError).advice).toContain('palyra pairing pair');
  });
});
