import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { OperatorClient } from '../../src/client/operator-client.js';
import { DeviceState } from '../../src/generated/palyra/controlplane/v1/device.js';
import { PairingState } from '../../src/generated/palyra/controlplane/v1/pairing.js';
import { auditFindings } from '../store/audit-findings.js';
import { PalyraCommand, objectsOf, palyra } from './palyra-command.js';
import { TestDevice, approving, failureOf, mintPin, pairedDevice } from './paired-device.js';
import { ServiceProcess } from './service-process.js';

/** What the service has answered is there after SIGKILL, and devices go on with what they had begun. */
describe('SIGKILL', () => {
  let service: ServiceProcess;
  let operator: OperatorClient;
  let device: TestDevice;

  beforeAll(async () => {
    service = await ServiceProcess.start();
    operator = await service.operator();
  });

  beforeEach(async () => {
    device = await TestDevice.create();
  });

  afterEach(async () => {
    await device.remove();
  });

  afterAll(async () => {
    await service.remove();
  });

  async function killAndStart(): Promise<void> {
    expect(await service.restart('SIGKILL')).toBeNull();
    operator = await service.operator();
  }

  const requestState = async (requestId: string): Promise<PairingState | undefined> =>
    (await operator.getNodePairingRequest({ requestId })).request?.state;

  it('after a code was minted leaves a code that pairs', async () => {
    const code = await mintPin(operator);
    await killAndStart();
    await device.pair(service.grpc, code, approving(operator));
    expect((await device.attempt()).answers).toMatchObject([{ ok: true }]);
  });

  it('after the proof leaves the request, and the device waits on', async () => {
    let requestId: string | undefined;
    const certificate = await device.pair(service.grpc, await mintPin(operator), async (id) => {
      requestId = id;
      await killAndStart();
      expect(await requestState(id)).toBe(PairingState.PAIRING_STATE_PENDING_APPROVAL);
      await approving(operator)(id);
    });
    expect(device.events.map(({ event }) => event)).toEqual([
      'device',
      'waiting_for_approval',
      'disconnected',
      'certificate',
    ]);
    const { request } = await operator.getNodePairingRequest({ requestId: requestId! });
    expect(request).toMatchObject({
      state: PairingState.PAIRING_STATE_COMPLETED,
      deviceId: certificate.deviceId,
    });
  });

  it('after the approval leaves the certificate that was answered, and the device collects it', async () => {
    const requestId = await device.pairUntilWaiting(service.grpc, await mintPin(operator));
    const { certificate } = await operator.approveNodePairingRequest({ requestId });
    await killAndStart();
    const collected = await device.resume();
    expect(collected.fingerprint).toBe(certificate?.fingerprint.toString('hex'));
    expect((await device.attempt()).answers).toMatchObject([{ ok: true }]);
  });

  it('during the approval leaves all of it or nothing', async () => {
    const requestId = await device.pairUntilWaiting(service.grpc, await mintPin(operator));
    const { deviceId } = (await device.pending())!;
    const before = (await operator.listDevices()).devices.length;
    const approval = failureOf(approving(operator)(requestId));
    await killAndStart();
    const { devices } = await operator.listDevices();
    const isKnown = devices.some((known) => known.deviceId === deviceId);
    const isPending = (await requestState(requestId)) === PairingState.PAIRING_STATE_PENDING_APPROVAL;
    expect(isKnown).toBe(!isPending);
    const isAcknowledged = (await approval) === undefined;
    if (isAcknowledged) expect(isKnown).toBe(true);
    await device.resume(approving(operator));
    expect((await operator.listDevices()).devices).toHaveLength(before + 1);
  });

  it('after a revocation leaves the device out', async () => {
    const lost = await pairedDevice(service, operator);
    const { client } = await lost.connect();
    await client.health();
    await operator.revokeDevice({ deviceId: lost.paired.deviceId, reason: 'lost' });
    await killAndStart();
    expect(await lost.attempt()).toMatchObject({ answers: [], reason: 'NOT_ADMITTED' });
    const { device: known } = await operator.getDevice({ deviceId: lost.paired.deviceId });
    expect(known?.state).toBe(DeviceState.DEVICE_STATE_REVOKED);
    await lost.remove();
  });

  it('of a device that waits lets the same command go on, without a code', async () => {
    const commandLine = ['pairing', 'pair', '--json', '--endpoint', service.grpc.text, '--proof-stdin'];
    const environment = { PALYRA_DEVICE_DIR: device.directory };
    const killed = new PalyraCommand(commandLine, { environment, stdin: `${await mintPin(operator)}\n` });
    const { requestId } = (await killed.event('waiting_for_approval')) as { requestId: string };
    killed.signal('SIGKILL');
    expect((await killed.ended).code).toBeNull();
    expect(await device.records()).toEqual(['pending.sealed']);
    await approving(operator)(requestId);
    const again = await palyra(commandLine, { environment });
    expect(again).toMatchObject({ code: 0, stderr: '' });
    const events = objectsOf(again.stdout).map(({ event }) => event);
    expect(events).toEqual(['resumed', 'device', 'certificate']);
    expect(await device.records()).toEqual(['certificate.sealed', 'identity.sealed']);
  });

  it('leaves an audit log whose chain holds', async () => {
    await service.stop('SIGKILL');
    expect(await service.withStore(auditFindings)).toEqual([]);
  });
});
