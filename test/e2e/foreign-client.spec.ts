import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { encodePem } from '../../src/ca/pem.js';
import { decodeFrameBody, FrameDecoder } from '../../src/quic/frame-codec.js';
import { requestFrame } from '../../src/quic/node-rpc-message.js';
import { TestCa } from '../ca/test-ca.js';
import { AioquicClient, type AioquicCall, isAioquicThere } from './aioquic-client.js';
import { TestDevice } from './paired-device.js';
import { ServiceProcess } from './service-process.js';

const NOT_ADMITTED = 1;
const CERTIFICATE_REQUIRED = 256 + 116;
const UNKNOWN_CA = 256 + 48;
const DECRYPT_ERROR = 256 + 51;

/** aioquic is installed by the test command; CI insists on it (`PALYRA_TEST_AIOQUIC=required`). */
const isRequired = process.env['PALYRA_TEST_AIOQUIC'] === 'required';
const describeWithAioquic = isAioquicThere || isRequired ? describe : describe.skip;

describeWithAioquic('a client on another QUIC implementation', () => {
  let service: ServiceProcess;
  let device: TestDevice;
  let client: AioquicClient;

  beforeAll(async () => {
    service = await ServiceProcess.start();
    device = await TestDevice.create();
    const operator = await service.operator();
    const { secretText } = await operator.createPairingCode({});
    await device.pair(service.grpc, secretText, (requestId) =>
      operator.approveNodePairingRequest({ requestId }),
    );
    client = new AioquicClient();
  });

  afterAll(async () => {
    client.close();
    await device.remove();
    await service.remove();
  });

  const callOf = (own: { chain: string; key: string } | null): AioquicCall => {
    const { cluster } = certificateOf(device);
    return {
      port: service.quic.port,
      server_name: `control-plane.${cluster.trustDomain}`,
      roots: cluster.roots.map((der) => encodePem('CERTIFICATE', der)).join(''),
      chain: own?.chain ?? null,
      key: own?.key ?? null,
      frame: requestFrame('node.health', {}),
    };
  };

  const ownCall = (): AioquicCall => {
    const { chain, certificateKey } = certificateOf(device);
    return callOf({
      chain: chain.map((der) => encodePem('CERTIFICATE', der)).join(''),
      key: certificateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    });
  };

  it('is answered in the flight that ends its handshake', async () => {
    const report = await client.call(ownCall());
    expect(report).toMatchObject({ ended: null, resumed: false, early_data: false });
    const [body] = new FrameDecoder().push(report.answer);
    expect(decodeFrameBody(body!)).toMatchObject({
      kind: 'health',
      ok: true,
      result: { device_id: certificateOf(device).deviceId },
    });
  });

  it('is refused without a certificate, and gets no byte', async () => {
    const report = await client.call(callOf(null));
    expect(report.ended).toEqual({ code: CERTIFICATE_REQUIRED, application: false });
    expect(report.answer).toHaveLength(0);
  });

  it('is refused with the certificate of a foreign CA, and gets no byte', async () => {
    const report = await client.call(callOf(await (await TestCa.create()).device()));
    expect([UNKNOWN_CA, DECRYPT_ERROR]).toContain(report.ended?.code);
    expect(report.answer).toHaveLength(0);
  });

  it('does not resume with a ticket, and not past a revocation', async () => {
    await client.call(ownCall());
    const again = await client.resume(ownCall());
    expect(again).toMatchObject({ ended: null, resumed: false, early_data: false });
    expect(again.answer.length).toBeGreaterThan(0);

    const operator = await service.operator();
    await operator.revokeDevice({ deviceId: certificateOf(device).deviceId, reason: 'lost' });
    const revoked = await client.resume(ownCall());
    expect(revoked).toMatchObject({ resumed: false, early_data: false });
    expect(revoked.ended).toEqual({ code: NOT_ADMITTED, application: true });
    expect(revoked.answer).toHaveLength(0);
  });
});

function certificateOf(device: TestDevice): NonNullable<TestDevice['certificate']> {
  if (device.certificate === undefined) throw new Error('the device is not paired');
  return device.certificate;
}
