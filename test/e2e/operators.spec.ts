import { ChannelCredentials, Client, Metadata, type ServiceError } from '@grpc/grpc-js';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { controlPlaneDnsName } from '../../src/ca/spiffe-id.js';
import { encodePem } from '../../src/ca/pem.js';
import type { OperatorClient } from '../../src/client/operator-client.js';
import { type RemoteError, remoteError } from '../../src/client/remote-error.js';
import { ControlPlaneService } from '../../src/generated/palyra/controlplane/v1/control_plane.js';
import { NodeServiceService } from '../../src/generated/palyra/controlplane/v1/node_service.js';
import { type NodePairingRequest, PairingState } from '../../src/generated/palyra/controlplane/v1/pairing.js';
import { TestDevice, approving, failureOf, mintPin, pairedDevice } from './paired-device.js';
import { ServiceProcess } from './service-process.js';

const METHODS = Object.values(ControlPlaneService).map(({ path }) => path);

/** The device may have gone away too late not to be sent its certificate. */
const APPROVED = [PairingState.PAIRING_STATE_APPROVED, PairingState.PAIRING_STATE_COMPLETED];

const decisionOf = (request: NodePairingRequest | undefined): unknown => [
  request?.decidedBy,
  request?.decideTime,
  request?.reason,
];

describe('operators of a running service', () => {
  let service: ServiceProcess;
  let operator: OperatorClient;
  const devices: TestDevice[] = [];

  beforeAll(async () => {
    service = await ServiceProcess.start({ PALYRA_PAIRING_STARTS_PER_MINUTE_PER_ADDRESS: '1000' });
    operator = await service.operator();
  });

  afterAll(async () => {
    for (const device of devices) await device.remove();
    await service.remove();
  });

  async function newDevice(): Promise<TestDevice> {
    const device = await TestDevice.create();
    devices.push(device);
    return device;
  }

  /** A device that waits for a decision on the request. */
  async function waitingDevice(): Promise<{ device: TestDevice; requestId: string }> {
    const device = await newDevice();
    return { device, requestId: await device.pairUntilWaiting(service.grpc, await mintPin(operator)) };
  }

  describe('who may call ControlPlane', () => {
    let device: TestDevice;
    let collectToken: Buffer;
    let plain: Client;
    let asDevice: Client;

    beforeAll(async () => {
      device = await newDevice();
      await device.pairUntilWaiting(service.grpc, await mintPin(operator));
      collectToken = (await device.pending())!.collectToken;
      await device.resume(approving(operator));
      plain = channel();
      const { chain, certificateKey } = device.paired;
      const key = certificateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
      asDevice = channel({ key, chain: pemOf(chain) });
    });

    afterAll(() => {
      plain.close();
      asDevice.close();
    });

    const pemOf = (certificates: readonly Buffer[]): string =>
      certificates.map((der) => encodePem('CERTIFICATE', der)).join('');

    function channel(identity?: { key: string; chain: string }): Client {
      const { roots, trustDomain } = device.paired.cluster;
      const key = identity === undefined ? null : Buffer.from(identity.key);
      const chain = identity === undefined ? null : Buffer.from(identity.chain);
      const credentials = ChannelCredentials.createSsl(Buffer.from(pemOf(roots)), key, chain);
      return new Client(service.grpc.text, credentials, {
        'grpc.ssl_target_name_override': controlPlaneDnsName(trustDomain),
        'grpc.use_local_subchannel_pool': 1,
      });
    }

    /** An empty request; the error, or undefined when the call was served. */
    function call(client: Client, path: string, token?: string): Promise<RemoteError | undefined> {
      const metadata = new Metadata();
      if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
      const asItIs = (bytes: Buffer): Buffer => bytes;
      return new Promise((resolve) => {
        const onEnd = (error: ServiceError | null): void => {
          resolve(error === null ? undefined : remoteError(error));
        };
        client.makeUnaryRequest(path, asItIs, asItIs, Buffer.alloc(0), metadata, onEnd);
      });
    }

    /** Calls every RPC, expects each to be refused for `reason`, and nothing to have happened. */
    async function expectNothingServed(client: Client, reason: string, token?: string): Promise<void> {
      const before = service.tables();
      const answers = await Promise.all(
        METHODS.map(async (path) => [path, await call(client, path, token)] as const),
      );
      for (const [path, error] of answers) {
        expect({ path, code: error?.code, reason: error?.reason }).toEqual({
          path,
          code: 'UNAUTHENTICATED',
          reason,
        });
      }
      expect(service.tables()).toEqual(before);
    }

    it('nobody, without a credential', () => expectNothingServed(plain, 'CREDENTIALS_REQUIRED'));

    it('nobody, with the certificate of a device', () =>
      expectNothingServed(asDevice, 'CREDENTIALS_REQUIRED'));

    it('nobody, with the collect token of a device', () =>
      expectNothingServed(plain, 'CREDENTIALS_INVALID', collectToken.toString('base64')));

    it('nobody, with a token whose secret is wrong in one character', async () => {
      const token = await service.adminToken();
      const at = 'palyra1_12345678_'.length;
      const wrong = token.slice(0, at) + (token[at] === '0' ? '1' : '0') + token.slice(at + 1);
      await expectNothingServed(plain, 'CREDENTIALS_INVALID', wrong);
    });

    it('nobody, with the token of an operator that does not exist', async () => {
      const token = (await service.adminToken()).replace(/_[^_]{8}_/, '_00000000_');
      await expectNothingServed(plain, 'CREDENTIALS_INVALID', token);
    });

    it('an operator, whom the certificate of a device on the channel makes no other', async () => {
      const token = await service.adminToken();
      for (const client of [plain, asDevice]) {
        expect(await call(client, ControlPlaneService.getStatus.path, token)).toBeUndefined();
      }
    });

    it('and with a wrong credential nobody may call what is open to all', async () => {
      const { path } = NodeServiceService.getTrustBundle;
      expect(await call(plain, path)).toBeUndefined();
      expect(await call(plain, path, 'wrong')).toMatchObject({ reason: 'CREDENTIALS_INVALID' });
    });
  });

  it('speak TLS 1.3 with it and nothing older', async () => {
    const { host, port } = service.grpc;
    const options = { host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] };
    const old = connect({ ...options, maxVersion: 'TLSv1.2' });
    const [error] = (await once(old, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
    const current = connect(options);
    await once(current, 'secureConnect');
    expect(current.getProtocol()).toBe('TLSv1.3');
    current.destroy();
  });

  describe('a device id that is known with another key', () => {
    let device: TestDevice;
    let requestId: string;

    beforeAll(async () => {
      device = await pairedDevice(service, operator);
      devices.push(device);
      requestId = await device.pairUntilWaiting(service.grpc, await mintPin(operator), { newIdentity: true });
    });

    it('is shown as a conflict', async () => {
      const { request } = await operator.getNodePairingRequest({ requestId });
      expect(request).toMatchObject({ conflict: 'IDENTITY_CHANGED', knownDevice: false });
    });

    it('is not approved by the way', async () => {
      const before = service.tables();
      const error = await failureOf(operator.approveNodePairingRequest({ requestId }));
      expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'IDENTITY_CHANGED' });
      expect(service.tables()).toEqual(before);
      expect((await device.attempt()).answers).toMatchObject([{ ok: true }]);
    });

    it('takes the place of the old one when a person says so', async () => {
      const old = await device.connect();
      await old.client.health();
      const earlier = device.paired;
      await operator.approveNodePairingRequest({ requestId, replaceIdentity: true });
      expect(await old.client.closed).toMatchObject({ code: 5, application: true });
      expect((await device.attempt()).reason).toBe('NOT_ADMITTED');
      await device.resume();
      expect(device.paired.deviceId).toBe(earlier.deviceId);
      expect((await device.attempt()).answers).toMatchObject([{ ok: true }]);
    });
  });

  describe('a decision', () => {
    it('to reject reaches the device, which keeps nothing', async () => {
      const device = await newDevice();
      const reject = (requestId: string): Promise<unknown> =>
        operator.rejectNodePairingRequest({ requestId, reason: 'not one of ours' });
      const error = await failureOf(device.pair(service.grpc, await mintPin(operator), reject));
      expect(error).toMatchObject({ failure: 'refused', reason: 'REJECTED' });
      expect((error as Error).message).toContain('not one of ours');
      expect(await device.records()).toEqual([]);
    });

    it('to reject leaves no identity, no certificate and no secret on the server', async () => {
      const { device, requestId } = await waitingDevice();
      const before = service.tables();
      await operator.rejectNodePairingRequest({ requestId, reason: 'no' });
      const after = service.tables();
      expect({ devices: after['device'], certificates: after['certificate'] }).toEqual({
        devices: before['device'],
        certificates: before['certificate'],
      });
      const { deviceId } = (await device.pending())!;
      const names = after['secret']!.map((row) => (JSON.parse(row) as { name: string }).name);
      expect(names).not.toContain(`request/${requestId}`);
      expect(names).not.toContain(`device/${deviceId}`);
    });

    it('to approve can be said twice, answers the same and issues once', async () => {
      const { device, requestId } = await waitingDevice();
      const first = await operator.approveNodePairingRequest({ requestId, reason: 'compared' });
      const issued = service.tables()['certificate'];
      const second = await operator.approveNodePairingRequest({ requestId, reason: 'compared' });
      expect(second.certificate).toEqual(first.certificate);
      expect(decisionOf(second.request)).toEqual(decisionOf(first.request));
      expect(service.tables()['certificate']).toEqual(issued);
      expect((await device.resume()).fingerprint).toBe(first.certificate?.fingerprint.toString('hex'));
    });

    it('to reject is final', async () => {
      const { requestId } = await waitingDevice();
      await operator.rejectNodePairingRequest({ requestId, reason: 'no' });
      await operator.rejectNodePairingRequest({ requestId, reason: 'no' });
      const error = await failureOf(operator.approveNodePairingRequest({ requestId }));
      expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'ALREADY_DECIDED' });
      const { request } = await operator.getNodePairingRequest({ requestId });
      expect(request?.state).toBe(PairingState.PAIRING_STATE_REJECTED);
    });

    it('to approve is final', async () => {
      const { requestId } = await waitingDevice();
      await operator.approveNodePairingRequest({ requestId });
      const error = await failureOf(operator.rejectNodePairingRequest({ requestId }));
      expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'ALREADY_DECIDED' });
      const { request } = await operator.getNodePairingRequest({ requestId });
      expect(APPROVED).toContain(request?.state);
    });
  });
});
