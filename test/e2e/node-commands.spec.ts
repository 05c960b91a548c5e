import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readCertificate } from '../../src/client/device/device-records.js';
import { DeviceStoreReader } from '../../src/client/device/device-store.js';
import type { OperatorClient } from '../../src/client/operator-client.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { PalyraCommand, objectsOf, palyra, type Finished } from './palyra-command.js';
import { type TestDevice, pairedDevice } from './paired-device.js';
import { ServiceProcess } from './service-process.js';

/** What a paired device says of itself and is told, by the commands. */
describe('palyra node', () => {
  let service: ServiceProcess;
  let operator: OperatorClient;
  let device: TestDevice;

  beforeAll(async () => {
    service = await ServiceProcess.start({ PALYRA_PRESENCE_INTERVAL: '1s' });
    operator = await service.operator();
    device = await pairedDevice(service, operator);
  });

  afterAll(async () => {
    await device.remove();
    await service.remove();
  });

  const commandLine = (words: string): string[] => [...words.split(' '), '--device-dir', device.directory];
  const run = (words: string): Promise<Finished> => palyra(commandLine(words));

  const listed = async (): ReturnType<OperatorClient['getDevice']> =>
    operator.getDevice({ deviceId: device.paired.deviceId });

  it('register tells operators what the device says of itself, once', async () => {
    expect((await listed()).device).toMatchObject({ registration: undefined, openConnections: 0 });
    const told = await run('node register --json --platform linux-test --capability camera gpu:2');
    expect(told).toMatchObject({ code: 0, stderr: '' });
    expect(objectsOf(told.stdout)).toMatchObject([
      { deviceId: device.paired.deviceId, platform: 'linux-test', capabilities: ['camera', 'gpu:2'] },
    ]);
    const { device: shown } = await listed();
    expect(shown?.registration).toMatchObject({ platform: 'linux-test', capabilities: ['camera', 'gpu:2'] });
    const again = await run('node register --json --platform linux-test --capability camera gpu:2');
    expect(objectsOf(again.stdout)).toEqual(objectsOf(told.stdout));
    expect((await operator.listDevices({})).devices).toHaveLength(1);
  });

  it('register says what is wrong with a word', async () => {
    const refused = await run('node register --capability GPU');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('capabilities must be a list of at most 32 words');
  });

  it.each([
    [
      'nothing listens there',
      'node health --endpoint 127.0.0.1:1',
      4,
      /127\.0\.0\.1:1\n.*firewall stops UDP/,
    ],
    ['events ahead of the store', 'node events --resume-from 1000000', 1, /without --resume-from/],
  ])('says what to do about %s', async (_what, words, code, text) => {
    expect(await run(words)).toMatchObject({ code, stderr: expect.stringMatching(text) });
  });

  it('heartbeat says what the service wishes', async () => {
    const beat = await run('node heartbeat --json');
    expect(objectsOf(beat.stdout)).toMatchObject([
      { deviceId: device.paired.deviceId, heartbeat_interval_ms: 15_000 },
    ]);
    const { device: shown } = await listed();
    expect(Math.abs(Number(shown?.lastSeenTime) - Date.now())).toBeLessThan(30_000);
  });

  it('events tells what is decided, takes new roots over, and ends with the revocation', async () => {
    const before = device.paired.cluster.roots;
    const events = new PalyraCommand(commandLine('node events --json'));
    const told = (type: string): Promise<object> =>
      events.told(type, () => objectsOf(events.stdout).find((event) => event['type'] === type));
    await told('certificate_issued');
    expect((await listed()).device?.openConnections).toBe(1);
    await operator.prepareRoot({ reason: 'test' });
    expect(await told('bundle_changed')).toMatchObject({ step: 'prepared' });
    await keptRoots(before.length + 1);
    await operator.revokeDevice({ deviceId: device.paired.deviceId, reason: 'lost' });
    const { code, stderr } = await events.ended;
    expect(code).toBe(3);
    expect(stderr).toContain('REVOKED');
    expect(events.stdout).toContain('revocation_announced');
  });

  /** The command asks for the bundle once it has told of the change. */
  async function keptRoots(count: number): Promise<void> {
    for (;;) {
      const store = await DeviceStoreReader.open(device.directory, systemRandomBytes);
      const certificate = await readCertificate(store!);
      store!.close();
      if (certificate?.cluster.roots.length === count) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
});
