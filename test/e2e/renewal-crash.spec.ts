import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readCertificate } from '../../src/client/device/device-records.js';
import { DeviceStoreReader } from '../../src/client/device/device-store.js';
import { renewDevice } from '../../src/client/device/renewal.js';
import type { OperatorClient } from '../../src/client/operator-client.js';
import { DeviceState } from '../../src/generated/palyra/controlplane/v1/device.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { systemClock } from '../../src/time/clock.js';
import { announcedSeed, rounds, timeLimit } from '../scale.js';
import { auditFindings } from '../store/audit-findings.js';
import { PalyraCommand } from './palyra-command.js';
import { type TestDevice, failureOf, pairedDevice } from './paired-device.js';
import { ServiceProcess } from './service-process.js';

const ROUNDS = rounds(2, 20);
/** The kill falls somewhere into a stretch that is longer than a renewal, milliseconds. */
const KILL_WITHIN_MS = { service: 150, device: 900 };

/** SIGKILL of either side at random moments of renewals: nobody is taken for a copy, and nothing acknowledged is lost. */
describe('SIGKILL while a device renews', () => {
  let service: ServiceProcess;
  let operator: OperatorClient;
  let device: TestDevice;

  beforeAll(async () => {
    service = await ServiceProcess.start();
    operator = await service.operator();
    device = await pairedDevice(service, operator);
  });

  afterAll(async () => {
    await device.remove();
    await service.remove();
  });

  const renew = async (): Promise<string> => {
    const { certificate } = await renewDevice({
      directory: device.directory,
      endpoint: undefined,
      signal: new AbortController().signal,
      clock: systemClock,
      random: systemRandomBytes,
    });
    device.certificate = certificate;
    return certificate.fingerprint;
  };

  /** The device goes on as if nothing had been, and is let in. */
  async function expectUnharmed(): Promise<void> {
    const fingerprint = await renew();
    const { device: known } = await operator.getDevice({ deviceId: device.paired.deviceId });
    expect(known?.state).toBe(DeviceState.DEVICE_STATE_ACTIVE);
    expect(known?.certificateFingerprint.toString('hex')).toBe(fingerprint);
    expect((await device.attempt()).answers).toMatchObject([{ ok: true }]);
  }

  it(
    'of the service leaves every certificate that it has answered',
    async () => {
      const random = randomOf(announcedSeed('SIGKILL of the service while a device renews', ROUNDS));
      for (let round = 0; round < ROUNDS; round += 1) {
        const over = new AbortController();
        const renewals = (async () => {
          // The kill ends it, or the end of the round; what the failure was is seen by what still works afterwards.
          while (!over.signal.aborted && (await failureOf(renew())) === undefined);
        })();
        await sleep(random() * KILL_WITHIN_MS.service);
        await service.restart('SIGKILL');
        over.abort();
        await renewals;
        operator = await service.operator();
        // What the device was told before the kill is known: that very certificate opens a connection.
        expect((await device.attempt()).answers).toMatchObject([{ ok: true }]);
        await expectUnharmed();
      }
    },
    timeLimit(60_000, ROUNDS / 2),
  );

  it(
    'of the device leaves a store with which the same command goes on',
    async () => {
      const random = randomOf(announcedSeed('SIGKILL of a device that renews', ROUNDS));
      const commandLine = ['node', 'renew', '--json', '--device-dir', device.directory];
      for (let round = 0; round < ROUNDS; round += 1) {
        const killed = new PalyraCommand(commandLine);
        await sleep(random() * KILL_WITHIN_MS.device);
        killed.signal('SIGKILL');
        await killed.ended;
        const reader = await DeviceStoreReader.open(device.directory, systemRandomBytes);
        if (reader === undefined) throw new Error('the device store is gone');
        expect(await readCertificate(reader)).toBeDefined();
        await expectUnharmed();
      }
    },
    timeLimit(60_000, ROUNDS / 2),
  );

  it('leaves an audit log whose chain holds', async () => {
    expect(await failureOf(renew())).toBeUndefined();
    await service.stop('SIGKILL');
    expect(await service.withStore(auditFindings)).toEqual([]);
  });
});

/** Numbers in [0, 1) that a seed repeats (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
