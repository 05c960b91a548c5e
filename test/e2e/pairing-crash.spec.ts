import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { OperatorClient } from '../../src/client/operator-client.js';
import { PairingCodeKind, PairingState } from '../../src/generated/palyra/controlplane/v1/pairing.js';
import { parsePinCode } from '../../src/pairing/protocol/code.js';
import { derivePassword } from '../../src/pairing/protocol/password.js';
import { TRIES_PER_PIN } from '../../src/pairing/tries.js';
import { announcedSeed, rounds, timeLimit } from '../scale.js';
import { SIGHTS, type Sight, StoreWatch, seen } from './kill-moment.js';
import { TestDevice, approving, failureOf, mintPin, reasonOf } from './paired-device.js';
import { isPaired, requireWholeDisk, requireWholeStore } from './pairing-disk.js';
import { PalyraCommand, palyra } from './palyra-command.js';
import { RawPairing } from './raw-pairing.js';
import { ServiceProcess } from './service-process.js';

/** Kills of each side; a start of the service takes longer than one of the command. */
const SERVER_KILLS = rounds(4, 120);
const DEVICE_KILLS = rounds(6, 180);
/** Devices that walk at once. */
const AT_ONCE = 3;

interface Kill {
  /** After this was seen … */
  readonly sight: Sight;
  /** … so many milliseconds pass. */
  readonly delayMs: number;
  readonly link: boolean;
}

const anyKill: fc.Arbitrary<Kill> = fc.record({
  sight: fc.constantFrom(...SIGHTS),
  delayMs: fc.oneof(fc.constant(0), fc.nat({ max: 40 })),
  link: fc.boolean(),
});

/** An operator who approves whatever waits, as long as there is a service to do it with. */
class Approver {
  /** Request to certificate, once the service has answered. */
  readonly acknowledged = new Map<string, string>();
  readonly failures: unknown[] = [];
  #stopped = false;
  #running: Promise<void> | undefined;

  constructor(
    /** Absent while the service is down. */
    public operator: OperatorClient | undefined,
  ) {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const { operator } = this;
      const failure = operator === undefined ? undefined : await failureOf(this.#round(operator));
      // What fails because the service is killed is no failure.
      if (failure !== undefined && operator === this.operator) this.failures.push(failure);
      await sleep(20);
    }
  }

  async #round(operator: OperatorClient): Promise<void> {
    const state = PairingState.PAIRING_STATE_PENDING_APPROVAL;
    for (const { requestId } of (await operator.listNodePairingRequests({ state })).requests) {
      const { certificate } = await operator.approveNodePairingRequest({
        requestId,
        reason: 'words compared',
      });
      this.acknowledged.set(requestId, certificate!.fingerprint.toString('hex'));
    }
  }
}

describe('SIGKILL at a random moment of a pairing', () => {
  let service: ServiceProcess;
  let operator: OperatorClient;
  let approver: Approver;
  let seed: number;
  const devices: TestDevice[] = [];

  beforeAll(async () => {
    service = await ServiceProcess.start({
      PALYRA_PAIRING_STARTS_PER_MINUTE_PER_ADDRESS: '100000',
      PALYRA_PAIRING_STARTS_PER_MINUTE: '100000',
    });
    operator = await service.operator();
    approver = new Approver(operator);
    seed = announcedSeed('pairing kills', SERVER_KILLS + DEVICE_KILLS);
  });

  afterAll(async () => {
    await approver.stop();
    await service.remove();
    for (const device of devices) await device.remove();
  });

  async function newDevice(): Promise<TestDevice> {
    const device = await TestDevice.create();
    devices.push(device);
    return device;
  }

  async function mint(link: boolean): Promise<string> {
    if (!link) return mintPin(operator);
    return (await operator.createPairingCode({ kind: PairingCodeKind.PAIRING_CODE_KIND_LINK })).secretText;
  }

  async function kill(): Promise<void> {
    approver.operator = undefined;
    await service.stop('SIGKILL');
    await requireWholeStore(service, approver.acknowledged);
    await service.run();
    operator = await service.operator();
    approver.operator = operator;
  }

  /** Everything is as if nobody had been killed. */
  async function expectPaired(device: TestDevice): Promise<void> {
    expect(await isPaired(device, service)).toBe(true);
    const { deviceId } = (await device.storedCertificate())!;
    const { requests } = await operator.listNodePairingRequests({ pageSize: 1000 });
    expect(requests.filter((request) => request.deviceId === deviceId)).toHaveLength(1);
  }

  const kills = (count: number, offset: number): Kill[] =>
    fc.sample(anyKill, { seed: seed + offset, numRuns: count });

  it(
    'of the service leaves nothing partial, and the same command ends it',
    async () => {
      for (const { sight, delayMs, link } of kills(SERVER_KILLS, 0)) {
        const walkers = await Promise.all(
          Array.from({ length: AT_ONCE }, async (_, index) => ({
            device: await newDevice(),
            code: await mint(index === 0 ? link : true),
          })),
        );
        const watch = new StoreWatch(service);
        const walks = walkers.map(({ device, code }) =>
          failureOf(device.pair(service.grpc, code, () => Promise.resolve())),
        );
        let over = false;
        void Promise.all(walks).then(() => (over = true));
        await seen(sight, watch, walkers[0]!.device, () => over);
        await sleep(delayMs);
        watch.close();
        await kill();
        for (const [index, { device, code }] of walkers.entries()) {
          const failure = await walks[index];
          const isDone = await isPaired(device, service);
          expect(isDone).toBe(failure === undefined);
          if (!isDone) await device.pair(service.grpc, code, () => Promise.resolve());
          await expectPaired(device);
        }
        requireWholeDisk(service, approver.acknowledged);
      }
      expect(approver.failures).toEqual([]);
    },
    timeLimit(240_000, 30),
  );

  it(
    'of the device leaves nothing partial, and the same command ends it',
    async () => {
      const planned = kills(DEVICE_KILLS, 1);
      while (planned.length > 0) {
        await Promise.all(planned.splice(0, AT_ONCE).map((one) => killDevice(one)));
        requireWholeDisk(service, approver.acknowledged);
      }
      expect(approver.failures).toEqual([]);
    },
    timeLimit(240_000, 30),
  );

  async function killDevice({ sight, delayMs, link }: Kill): Promise<void> {
    const [device, code] = [await newDevice(), await mint(link)];
    const commandLine = ['pairing', 'pair', '--json', '--endpoint', service.grpc.text, '--proof-stdin'];
    const options = { environment: { PALYRA_DEVICE_DIR: device.directory }, stdin: `${code}\n` };
    const watch = new StoreWatch(service);
    const command = new PalyraCommand(commandLine, options);
    let over = false;
    void command.ended.then(() => (over = true));
    await seen(sight, watch, device, () => over);
    // The start of the command itself takes about as long as all the rest.
    await sleep(sight === 'start' ? 25 * delayMs : delayMs);
    watch.close();
    command.signal('SIGKILL');
    await command.ended;
    if (!(await isPaired(device, service))) {
      const again = await palyra(commandLine, options);
      expect(again).toMatchObject({ code: 0, stderr: '' });
    }
    await expectPaired(device);
  }

  it(
    'between the tries and their answers gives no try back',
    async () => {
      let wereBetween = false;
      for (let attempt = 0; attempt < 5 && !wereBetween; attempt += 1) {
        const code = await mintPin(operator);
        const rightAnswers = await guessUntilKilled(code);
        expect(rightAnswers).toBeLessThanOrEqual(TRIES_PER_PIN);
        wereBetween = rightAnswers < TRIES_PER_PIN;
        await kill();

        const device = await newDevice();
        const failure = await failureOf(device.pair(service.grpc, code, approving(operator)));
        expect(reasonOf(failure)).toBe('CONFIRMATION_FAILED');
      }
      expect(wereBetween).toBe(true);
    },
    timeLimit(180_000, 1),
  );

  /** Many guesses at once, all right; the service dies once their tries are stored, in the middle of the answers. */
  async function guessUntilKilled(code: string): Promise<number> {
    const { codeId } = parsePinCode(code);
    const password = await derivePassword(parsePinCode(code));
    const stranger = new RawPairing(service.grpc);
    const watch = new StoreWatch(service);
    const before = watch.count('try');
    const guesses = Array.from({ length: 24 }, () => stranger.begin(codeId, password));
    let rightAnswers = 0;
    const answers = guesses.map((guess) =>
      guess.hello().then(
        (isRight) => (rightAnswers += Number(isRight)),
        () => undefined,
      ),
    );
    while (watch.count('try') < before + TRIES_PER_PIN) await nextTurn();
    approver.operator = undefined;
    const stopping = service.stop('SIGKILL');
    watch.close();
    await stopping;
    await Promise.all(answers);
    stranger.close();
    return rightAnswers;
  }
});
