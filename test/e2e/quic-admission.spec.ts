import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CertificateAuthority } from '../../src/ca/certificate-authority.js';
import { fixTrustDomain } from '../../src/ca/cluster-record.js';
import { makeCsr } from '../../src/ca/csr-maker.js';
import { verifyCsr } from '../../src/ca/csr.js';
import { encodePem } from '../../src/ca/pem.js';
import { trustBundlePem } from '../../src/ca/trust-bundle.js';
import { newCertificateKey } from '../../src/client/device/device-keys.js';
import type { OperatorClient } from '../../src/client/operator-client.js';
import type { NodeResponse } from '../../src/quic/node-rpc-message.js';
import { QuicClient, type QuicClientOptions } from '../../src/quic/quic-client.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { systemClock } from '../../src/time/clock.js';
import { HOSTILE_CASES, type HostileCa, makeHostileCertificate } from '../ca/hostile-certificates.js';
import { TestCa } from '../ca/test-ca.js';
import { type TestDevice, failureOf, pairedDevice, reasonOf } from './paired-device.js';
import { ServiceProcess } from './service-process.js';

const TRUST_DOMAIN = 'test.palyra.internal';
const HOUR_MS = 3_600_000;

type TlsIdentity = QuicClientOptions['identity'];

/**
 * The QUIC door of a running service. Its CA is made before the first start, by the code that the service would make it
 * with, so that the test has its key and can sign what the service itself never would.
 */
describe('the QUIC door of a running service', () => {
  let service: ServiceProcess;
  let operator: OperatorClient;
  let authority: CertificateAuthority;
  let ca: HostileCa;
  let device: TestDevice;
  const devices: TestDevice[] = [];

  beforeAll(async () => {
    service = await ServiceProcess.prepare({
      PALYRA_PAIRING_STARTS_PER_MINUTE_PER_ADDRESS: '1000',
      PALYRA_QUIC_MAX_CONNECTIONS_PER_DEVICE: '300',
      PALYRA_QUIC_MAX_HANDSHAKES_PER_ADDRESS: '64',
    });
    await makeCa();
    await service.run();
    operator = await service.operator();
    device = await newDevice();
  });

  afterAll(async () => {
    for (const made of devices) await made.remove();
    await service.remove();
  });

  async function makeCa(): Promise<void> {
    authority = await service.withStore(({ unitOfWork }) =>
      unitOfWork.run(async (unit) => {
        const trustDomain = await fixTrustDomain(unit, TRUST_DOMAIN, systemRandomBytes);
        const made = await CertificateAuthority.createOrLoad(unit, { trustDomain, clock: systemClock });
        const record = JSON.parse((await unit.secrets.read(`ca/${made.keyId}`))!.toString()) as {
          privateKey: string;
        };
        const key = encodePem('PRIVATE KEY', Buffer.from(record.privateKey, 'base64'));
        ca = { certificate: made.signingRoot, key, trustDomain };
        return made;
      }),
    );
  }

  async function newDevice(): Promise<TestDevice> {
    const made = await pairedDevice(service, operator);
    devices.push(made);
    return made;
  }

  const connect = (identity: TlsIdentity): Promise<QuicClient> =>
    QuicClient.connect({
      host: service.quic.host,
      port: service.quic.port,
      roots: trustBundlePem(authority.trustBundle()),
      trustDomain: TRUST_DOMAIN,
      connectTimeoutMs: 5_000,
      ...(identity === undefined ? {} : { identity }),
    });

  /** Asks for node.health with this certificate; whatever comes back, and the reason why no more does. */
  async function attempt(identity: TlsIdentity): Promise<{ answers: NodeResponse[]; reason?: string }> {
    const answers: NodeResponse[] = [];
    try {
      const client = await connect(identity);
      try {
        for await (const answer of client.stream('node.health')) answers.push(answer);
      } finally {
        await client.close();
      }
      return { answers };
    } catch (error) {
      return { answers, reason: reasonOf(error) ?? '' };
    }
  }

  const identityOf = ({ paired }: TestDevice): TlsIdentity => ({
    chain: paired.chain.map((der) => encodePem('CERTIFICATE', der)).join(''),
    key: paired.certificateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  });

  /** Resolves when the service has so many open: the end of one takes a datagram to arrive. */
  async function connections(count: number): Promise<void> {
    while ((await operator.getStatus()).quicConnections !== count) await sleep(10);
  }

  async function expectHealthy(of: TestDevice): Promise<void> {
    expect((await of.attempt()).answers).toMatchObject([{ ok: true }]);
  }

  it('lets a paired device in', async () => {
    const { answers } = await attempt(identityOf(device));
    expect(answers).toMatchObject([{ ok: true, node_rpc_mtls_required: true }]);
  });

  it('answers nothing without a certificate', async () => {
    expect(await attempt(undefined)).toEqual({ answers: [], reason: 'CERTIFICATE_REQUIRED' });
  });

  it('answers nothing with the certificate of another CA', async () => {
    const foreign = await TestCa.create({ trustDomain: TRUST_DOMAIN });
    const { answers, reason } = await attempt(await foreign.device({ deviceId: device.paired.deviceId }));
    expect(answers).toEqual([]);
    expect(reason).toMatch(/^(UNKNOWN_CA|DECRYPT_ERROR)$/);
  });

  it.each([
    ['expired', 'CERTIFICATE_EXPIRED'],
    ['server_auth_only', 'UNSUPPORTED_CERTIFICATE'],
    ['no_eku', 'NOT_ADMITTED'],
  ] as const)('answers nothing with a certificate of its own CA that is %s', async (name, reason) => {
    const { deviceId } = device.paired;
    expect(await attempt(await makeHostileCertificate(name, ca, { deviceId }))).toEqual({
      answers: [],
      reason,
    });
  });

  // A certificate that may not sign is refused by the client's own TLS library already.
  it.each(HOSTILE_CASES.filter((name) => name !== 'no_digital_signature'))(
    'answers nothing with %s',
    async (name) => {
      const { deviceId } = device.paired;
      const { answers, reason } = await attempt(await makeHostileCertificate(name, ca, { deviceId }));
      expect(answers).toEqual([]);
      expect(reason).toMatch(/^(NOT_ADMITTED|UNKNOWN_CA|DECRYPT_ERROR|[A-Z]*_?CERTIFICATE_?[A-Z]*|TLS_.*)$/);
    },
  );

  it('answers nothing with a flawless certificate of a paired device that no decision stands behind', async () => {
    const certificateKey = newCertificateKey();
    const { pem } = await authority.issueDeviceCertificate({
      deviceId: device.paired.deviceId,
      csr: verifyCsr(makeCsr(certificateKey)),
      lifetimeMs: HOUR_MS,
    });
    const key = certificateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    expect(await attempt({ chain: pem, key })).toEqual({ answers: [], reason: 'NOT_ADMITTED' });
  });

  it('survives the datagram that ends other servers', async () => {
    const socket = createSocket('udp4');
    const { host, port } = service.quic;
    await new Promise((resolve) => {
      socket.send(Buffer.from('d0000000010000', 'hex'), port, host, resolve);
    });
    socket.close();
    await expectHealthy(device);
    expect(service.isRunning).toBe(true);
  });

  it('closes what a revoked device has open, and refuses its next handshake', async () => {
    const lost = await newDevice();
    const identity = identityOf(lost);
    const client = await connect(identity);
    await client.health();
    await operator.revokeDevice({ deviceId: lost.paired.deviceId, reason: 'lost' });
    expect(await client.closed).toMatchObject({ code: 3, application: true });
    expect(await attempt(identity)).toEqual({ answers: [], reason: 'NOT_ADMITTED' });
  });

  it('sees a revocation that lands anywhere in a handshake', async () => {
    const delays = [0, 1, 2, 4, 8, 16];
    const racing = await Promise.all(delays.map(newDevice));
    for (const [index, delayMs] of delays.entries()) {
      const { deviceId } = racing[index]!.paired;
      const connecting = connect(identityOf(racing[index]!));
      const outcome = connecting.then((client) => client.closed);
      await sleep(delayMs);
      await operator.revokeDevice({ deviceId, reason: 'race' });
      // From here on nothing is answered, however far the handshake had come.
      const late = await failureOf(connecting.then((client) => client.health()));
      expect(reasonOf(late)).toMatch(/^(REVOKED|NOT_ADMITTED)$/);
      expect(['REVOKED', 'NOT_ADMITTED']).toContain((await outcome).error.reason);
      expect((await operator.getDevice({ deviceId })).device?.openConnections).toBe(0);
    }
    await expectHealthy(device);
  });

  it('turns connection 257 away at once and leaves the first 256 unharmed', async () => {
    const identity = identityOf(device);
    await connections(0);
    const clients: QuicClient[] = [];
    while (clients.length < 256) {
      const batch = await Promise.all(Array.from({ length: 16 }, () => connect(identity)));
      await Promise.all(batch.map((client) => client.health()));
      clients.push(...batch);
    }
    await connections(256);
    expect(await attempt(identity)).toEqual({ answers: [], reason: 'CONNECTION_REFUSED' });
    const answers = await Promise.all(clients.map((client) => client.health()));
    expect(answers.filter(({ ok }) => ok)).toHaveLength(256);
    await Promise.all(clients.map((client) => client.close()));
  });
});
