import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeError } from '../../src/cli/error-report.js';
import type { OperatorClient } from '../../src/client/operator-client.js';
import type { PairHello, PairWelcome } from '../../src/generated/palyra/controlplane/v1/node_service.js';
import { PairingCodeKind } from '../../src/generated/palyra/controlplane/v1/pairing.js';
import { parsePinCode } from '../../src/pairing/protocol/code.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { PalyraCommand } from './palyra-command.js';
import { TestDevice, approving, failureOf, mintPin, withWrongPin } from './paired-device.js';
import { Relay } from './relay.js';
import {
  keysOfDeviceStore,
  keysOfStore,
  masterKey,
  secretsInStore,
  secretsOfCode,
  secretsOfPending,
  secretsOfSession,
  secretsOfToken,
} from './run-secrets.js';
import { type Haystack, type Secret, filesBelow, findSecrets, formsOf } from './secret-search.js';
import { ServiceProcess } from './service-process.js';

/**
 * A whole run, by PIN and by link, with the log at its most talkative; every file is kept as it was at each stage, and
 * searched when all secrets of the run are known.
 */
describe('secrets of a run', () => {
  let service: ServiceProcess;
  let operator: OperatorClient;
  let pin: string;
  let wrongPin: string;
  const devices: TestDevice[] = [];
  const files: Haystack[] = [];
  const logs: Haystack[] = [];
  const secrets: Secret[] = [];

  beforeAll(async () => {
    service = await ServiceProcess.start({ PALYRA_LOG_LEVEL: 'trace' });
    operator = await service.operator();
    secrets.push(...secretsOfToken(await service.adminToken()));
    await pairByPin();
    await pairByLink();
    await mintAnother();
    await lookIn('running');
    await service.stop('SIGKILL');
    await lookIn('killed');
    await service.run();
    await service.stop('SIGTERM');
    await openStore();
    await lookIn('stopped');
    log('service', service.log);
  }, 60_000);

  afterAll(async () => {
    for (const device of devices) await device.remove();
    await service.remove();
  });

  function log(name: string, text: string): void {
    logs.push({ name, bytes: Buffer.from(text) });
  }

  async function lookIn(stage: string): Promise<void> {
    const directories = [service.dataDir, ...devices.map(({ root }) => root)];
    files.push(...(await filesBelow(directories, stage)));
  }

  async function newDevice(): Promise<TestDevice> {
    const device = await TestDevice.create();
    devices.push(device);
    return device;
  }

  /** With a wrong PIN first, and through a relay, so that the session's own secrets can be computed again. */
  async function pairByPin(): Promise<void> {
    const device = await newDevice();
    pin = await mintPin(operator);
    wrongPin = withWrongPin(pin);
    const wrong = await failureOf(device.pair(service.grpc, wrongPin, approving(operator)));
    log('error', JSON.stringify(describeError(wrong)));

    const relay = await Relay.start(service.grpc, (await operator.getStatus()).trustDomain);
    const draws: Buffer[] = [];
    let sent: PairHello | undefined;
    let received: PairWelcome | undefined;
    relay.edits.hello = (hello) => (sent = hello);
    relay.edits.welcome = (welcome) => (received = welcome);
    const random = (length: number): Buffer => {
      const drawn = systemRandomBytes(length);
      draws.push(Buffer.from(drawn));
      return drawn;
    };
    const requestId = await device.pairUntilWaiting(relay.endpoint, pin, { random });
    relay.stop();
    await lookIn('waiting');
    secrets.push(...(await secretsOfCode('PIN code', pin)), ...(await secretsOfCode('wrong PIN', wrongPin)));
    secrets.push(...secretsOfPending('the device', (await device.pending())!));
    secrets.push(...(await secretsOfSession({ codeText: pin, hello: sent!, welcome: received!, draws })));

    await approving(operator)(requestId);
    const { deviceId } = await device.resume();
    expect((await device.attempt()).answers).toMatchObject([{ ok: true }]);
    await operator.revokeDevice({ deviceId, reason: 'lost' });
    expect((await device.attempt()).reason).toBe('NOT_ADMITTED');
    secrets.push(...(await keysOfDeviceStore(device.directory)));
  }

  /** As a command, for what it prints. */
  async function pairByLink(): Promise<void> {
    const device = await newDevice();
    const { secretText } = await operator.createPairingCode({
      kind: PairingCodeKind.PAIRING_CODE_KIND_LINK,
    });
    const command = new PalyraCommand(['pairing', 'pair', '--json', '--proof-stdin'], {
      environment: { PALYRA_DEVICE_DIR: device.directory },
      stdin: `${secretText}\n`,
    });
    const { requestId } = (await command.event('waiting_for_approval')) as { requestId: string };
    secrets.push(...(await secretsOfCode('link', secretText)));
    secrets.push(...secretsOfPending('the command', (await device.pending())!));
    await approving(operator)(requestId);
    const { code, stdout, stderr } = await command.ended;
    expect(code).toBe(0);
    log('stdout of the command', stdout);
    log('stderr of the command', stderr);
  }

  /** A code that stays live, so that its verifier is in the store to the end; and what monitoring is shown. */
  async function mintAnother(): Promise<void> {
    secrets.push(...(await secretsOfCode('live PIN code', await mintPin(operator))));
    for (const path of ['/metrics', '/readyz']) {
      log(path, await (await fetch(service.http + path)).text());
    }
  }

  async function openStore(): Promise<void> {
    await service.withStore(async (store) => {
      secrets.push(...(await secretsInStore(store)), ...(await keysOfStore(store, service.dataDir)));
    });
  }

  it('are known to the test, all kinds of them', () => {
    const names = secrets.map(({ name }) => name);
    for (const kind of [
      /^PIN code$/,
      /^w0 of PIN code$/,
      /^L of PIN code$/,
      /^secret of link$/,
      /^operator token$/,
      /^collect token of the device$/,
      /^identity key of the device$/,
      /^certificate key of the command$/,
      /^K_shared of the session$/,
      /^record ca\/[0-9a-f]{40}\.privateKey$/,
      /^record server\/grpc\.privateKey$/,
      /^record server\/quic\.privateKey$/,
      /^record audit-key\.privateKey$/,
      /^record code\/.{4}\.verifier\.w0$/,
      /^record pairing-decoy\.verifier\.L$/,
      /^data key of the service$/,
      /^data key of a device$/,
    ]) {
      expect(names).toContainEqual(expect.stringMatching(kind));
    }
  });

  it('are looked for in every file at every stage, and in logs that say something', () => {
    for (const stage of ['waiting', 'running', 'killed', 'stopped']) {
      expect(files.some(({ name }) => name.startsWith(stage) && name.endsWith('palyra.db'))).toBe(true);
    }
    expect(files.some(({ name }) => name.endsWith('pending.sealed'))).toBe(true);
    expect(files.some(({ name, bytes }) => name.endsWith('palyra.db-wal') && bytes.length > 0)).toBe(true);
    expect(service.logEntries.length).toBeGreaterThan(5);
    expect(logs.map(({ name }) => name)).toContain('stdout of the command');
  });

  it('stand in no log, error or metric', () => {
    expect(findSecrets(secrets, logs)).toEqual([]);
  });

  it('of the PIN stand there not even as six digits', () => {
    const digits = [pin, wrongPin].map((code) => parsePinCode(code).pin).join('|');
    const pattern = new RegExp(`(?<![0-9a-fA-F.])(${digits})(?![0-9a-fA-F])`);
    for (const { name, bytes } of logs) {
      expect({ name, found: pattern.exec(bytes.toString())?.[0] }).toEqual({ name, found: undefined });
    }
  });

  it('stand in no file but the first admin token', () => {
    const found = findSecrets(secrets, files);
    const elsewhere = found.filter(({ where }) => where !== 'admin-token');
    expect(elsewhere).toEqual([]);
    expect(new Set(found.map(({ secret }) => secret))).toEqual(
      new Set(['operator token', 'secret of the operator token']),
    );
  });

  it('the master keys stand in their key files and nowhere else', async () => {
    const directories = [service.dataDir, ...devices.map(({ directory }) => directory)];
    const keys = await Promise.all(directories.map(async (name) => ({ name, bytes: await masterKey(name) })));
    expect(findSecrets(keys, logs)).toEqual([]);
    for (const key of keys) {
      const where = new Set(findSecrets([key], files).map((finding) => finding.where));
      expect(where).toEqual(new Set(['store.key']));
    }
  });

  it('would be found in any form, wherever they stood', async () => {
    const planted: Secret = { name: 'planted', bytes: randomBytes(32) };
    const directory = join(service.dataDir, 'deep', 'below');
    await mkdir(directory, { recursive: true });
    for (const [form, text] of formsOf(planted)) {
      const [before, after] = [randomBytes(5), randomBytes(5)];
      await writeFile(join(directory, form), Buffer.concat([before, text, after]));
    }
    const pkcs8 = Buffer.concat([randomBytes(37), planted.bytes, randomBytes(40)]).toString('base64');
    const pem = pkcs8.replace(/.{64}/g, '$&\n');
    await writeFile(join(directory, 'pem'), pem);
    await writeFile(join(directory, 'pem in json'), JSON.stringify({ key: pem }));
    const found = findSecrets([planted], await filesBelow([service.dataDir], 'planted'));
    const names = [...formsOf(planted).map(([form]) => form), 'pem', 'pem in json'];
    expect(new Set(found.map(({ where }) => where))).toEqual(new Set(names));
  });
});
