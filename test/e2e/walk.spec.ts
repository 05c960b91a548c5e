import { execFile } from 'node:child_process';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  readAuthorityKeyIdentifier,
  readCrlDistributionPoints,
} from '../../src/ca/certificate-extensions.js';
import { parseCertificate } from '../../src/ca/certificate-parser.js';
import { parseCrl, readCrlEntries } from '../../src/ca/crl/crl-parser.js';
import { encodePem } from '../../src/ca/pem.js';
import type { NodeConnection } from '../../src/client/device/node-connection.js';
import type { OperatorClient } from '../../src/client/operator-client.js';
import type { NodePairingRequest } from '../../src/generated/palyra/controlplane/v1/pairing.js';
import { PairingState } from '../../src/generated/palyra/controlplane/v1/pairing.js';
import { CertificateState } from '../../src/generated/palyra/controlplane/v1/certificate.js';
import { DeviceState } from '../../src/generated/palyra/controlplane/v1/device.js';
import { TestDevice, mintPin, reasonOf } from './paired-device.js';
import { ServiceProcess } from './service-process.js';

/** The main job of the service from an empty directory to a revoked device; each step builds on those before it. */
describe('the walk', () => {
  let service: ServiceProcess;
  let operator: OperatorClient;
  let device: TestDevice;
  let connection: NodeConnection;
  /** What the operator saw before deciding. */
  let seen: NodePairingRequest | undefined;

  beforeAll(async () => {
    service = await ServiceProcess.start({ PALYRA_PUBLIC_HTTP_URL: 'http://pki.example' });
    operator = await service.operator();
    device = await TestDevice.create();
  });

  afterAll(async () => {
    await device.remove();
    await service.remove();
  });

  const deviceId = (): string => device.paired.deviceId;

  /** Requests and devices as operators are shown them. */
  const everything = async (): Promise<unknown> => [
    await operator.listNodePairingRequests(),
    await operator.listDevices(),
  ];

  const openssl = (purpose: 'sslclient' | 'sslserver'): Promise<{ code: number; text: string }> =>
    new Promise((resolve) => {
      const ca = join(service.dataDir, 'ca.pem');
      const leaf = join(device.root, 'leaf.pem');
      const arguments_ = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', ca, leaf];
      execFile('openssl', arguments_, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : 1, text: stdout + stderr });
      });
    });

  const keyId = (): string =>
    readAuthorityKeyIdentifier(parseCertificate(device.paired.chain[0]!))?.toString('hex') ?? '';
  /** What the certificate points to, at the address where the test reaches it. */
  const crl = (init: RequestInit = {}): Promise<Response> => fetch(`${service.http}/crl/${keyId()}`, init);

  it('starts on an empty directory and keeps what it makes to itself', async () => {
    const names = await readdir(service.dataDir);
    expect(names).toEqual(expect.arrayContaining(['palyra.db', 'store.key', 'ca.pem', 'admin-token']));
    expect((await stat(service.dataDir)).mode & 0o777).toBe(0o700);
    for (const name of names) expect((await stat(join(service.dataDir, name))).mode & 0o077).toBe(0);
  });

  it('pairs a device that knows the address and a PIN, once an operator has approved', async () => {
    const certificate = await device.pair(service.grpc, await mintPin(operator), async (requestId) => {
      const { requests } = await operator.listNodePairingRequests({
        state: PairingState.PAIRING_STATE_PENDING_APPROVAL,
      });
      seen = requests.find((request) => request.requestId === requestId);
      await operator.approveNodePairingRequest({ requestId, reason: 'words compared' });
    });
    expect(device.events.map(({ event }) => event)).toEqual([
      'device',
      'waiting_for_approval',
      'certificate',
    ]);
    expect(certificate.chain.length).toBeGreaterThan(1);
  });

  it('shows the same six words on both sides', () => {
    const [shown] = device.events;
    if (shown?.event !== 'device') throw new Error('the device showed no words');
    expect(shown.words).toHaveLength(6);
    expect(seen?.fingerprintWords).toEqual(shown.words);
    expect(Buffer.from(seen?.identityFingerprint ?? []).toString('hex')).toBe(shown.fingerprint);
    expect(seen).toMatchObject({ deviceId: shown.deviceId, conflict: '', knownDevice: false });
  });

  it('lists the device and its certificate', async () => {
    const { devices } = await operator.listDevices();
    expect(devices).toHaveLength(1);
    expect(devices[0]).toMatchObject({ deviceId: deviceId(), state: DeviceState.DEVICE_STATE_ACTIVE });
    expect(devices[0]?.certificateFingerprint.toString('hex')).toBe(device.paired.fingerprint);
  });

  it('lists the certificate among all that were issued, and says when it ends', async () => {
    const { certificates, counts } = await operator.listCertificates({
      deviceId: deviceId(),
      withCounts: true,
    });
    expect(counts).toEqual({ valid: 1n, expired: 0n, revoked: 0n });
    expect(certificates).toMatchObject([
      { subjectId: `device/${deviceId()}`, current: true, state: CertificateState.CERTIFICATE_STATE_VALID },
    ]);
    const [{ expireTime, fingerprint } = {}] = certificates;
    expect(fingerprint?.toString('hex')).toBe(device.paired.fingerprint);
    const text = await (await fetch(`${service.http}/metrics`)).text();
    const [, seconds] = /^palyra_device_certificate_next_expiry_timestamp_seconds (\S+)$/m.exec(text) ?? [];
    expect(Number(seconds) * 1000).toBe(expireTime?.getTime());
    const [, nextUpdate] = /^palyra_crl_next_update_timestamp_seconds (\S+)$/m.exec(text) ?? [];
    expect(Number(nextUpdate) * 1000).toBeGreaterThan(Date.now() + 23 * 3_600_000);
  });

  it('issues a certificate that openssl takes for a client and for nothing else', async () => {
    await writeFile(join(device.root, 'leaf.pem'), encodePem('CERTIFICATE', device.paired.chain[0]!));
    expect(await openssl('sslclient')).toMatchObject({ code: 0 });
    const asServer = await openssl('sslserver');
    expect(asServer.code).toBe(1);
    expect(asServer.text).toContain('unsuitable certificate purpose');
  });

  it('says where the list of what was revoked is, which does not have it', async () => {
    const certificate = parseCertificate(device.paired.chain[0]!);
    expect(readCrlDistributionPoints(certificate)).toEqual([`http://pki.example/crl/${keyId()}`]);
    const list = await crl();
    expect(list.headers.get('content-type')).toBe('application/pkix-crl');
    expect(readCrlEntries(parseCrl(Buffer.from(await list.arrayBuffer())).entries)).toEqual([]);
    const again = await crl({ headers: { 'if-none-match': list.headers.get('etag') ?? '' } });
    expect(again.status).toBe(304);
    const issuer = await fetch(`${service.http}/ca/${keyId()}`);
    expect(issuer.headers.get('content-type')).toBe('application/pkix-cert');
    expect(Buffer.from(await issuer.arrayBuffer())).toEqual(device.paired.chain[1]);
    expect((await fetch(`${service.http}/crl/${'0'.repeat(40)}`)).status).toBe(404);
  });

  it('answers node.health over QUIC', async () => {
    connection = await device.connect();
    expect(await connection.client.health()).toMatchObject({
      kind: 'health',
      ok: true,
      node_rpc_mtls_required: true,
      result: { device_id: deviceId(), trust_domain: device.paired.cluster.trustDomain },
    });
    expect((await operator.getDevice({ deviceId: deviceId() })).device?.openConnections).toBe(1);
  });

  it('ends in order when asked to, and tells the device to come back', async () => {
    const [code, { code: closeCode, error }] = await Promise.all([
      service.stop('SIGTERM'),
      connection.client.closed,
    ]);
    expect(code).toBe(0);
    expect({ closeCode, reason: error.reason }).toEqual({ closeCode: 7, reason: 'GOING_AWAY' });
  });

  it('knows all of it after a restart, and the device connects without pairing', async () => {
    await service.run();
    operator = await service.operator();
    const { devices } = await operator.listDevices();
    expect(devices).toMatchObject([{ deviceId: deviceId(), state: DeviceState.DEVICE_STATE_ACTIVE }]);
    const { requests } = await operator.listNodePairingRequests();
    expect(requests).toMatchObject([
      { requestId: seen?.requestId, state: PairingState.PAIRING_STATE_COMPLETED, reason: 'words compared' },
    ]);
    connection = await device.connect();
    expect((await connection.client.health()).ok).toBe(true);
  });

  it('closes the open connection of a revoked device with code 3', async () => {
    const answer = await operator.revokeDevice({ deviceId: deviceId(), reason: 'lost' });
    expect(answer.closedConnections).toBe(1);
    const { code, application, by, error } = await connection.client.closed;
    expect({ code, application, by, reason: error.reason }).toEqual({
      code: 3,
      application: true,
      by: 'peer',
      reason: 'REVOKED',
    });
  });

  it('lists the certificate as revoked as soon as that is acknowledged', async () => {
    const { serial } = parseCertificate(device.paired.chain[0]!);
    const entries = readCrlEntries(parseCrl(Buffer.from(await (await crl()).arrayBuffer())).entries);
    expect(entries).toMatchObject([{ serial }]);
  });

  const expectShutOut = async (): Promise<void> => {
    const { answers, reason, close } = await device.attempt();
    expect(answers).toEqual([]);
    expect(reason).toBe('NOT_ADMITTED');
    expect(close).toMatchObject({ code: 1, application: true });
  };

  it('answers no application byte on its next handshake', expectShutOut);

  it('cannot be approved when it pairs again', async () => {
    const { devices } = await operator.listDevices();
    expect(devices).toMatchObject([
      { deviceId: deviceId(), state: DeviceState.DEVICE_STATE_REVOKED, revokeReason: 'lost' },
    ]);
    const error = await device
      .pair(service.grpc, await mintPin(operator), async (requestId) => {
        try {
          await operator.approveNodePairingRequest({ requestId });
        } catch (failure) {
          await operator.rejectNodePairingRequest({ requestId, reason: reasonOf(failure) ?? '' });
        }
      })
      .catch((failure: unknown) => failure);
    expect(error).toMatchObject({ reason: 'REJECTED' });
    expect((error as Error).message).toContain('DEVICE_REVOKED');
  });

  it('still says the same and refuses the device after another restart', async () => {
    const before = await everything();
    expect(await service.restart()).toBe(0);
    operator = await service.operator();
    expect(await everything()).toEqual(before);
    await expectShutOut();
  });
});
