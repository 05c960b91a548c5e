import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { describeError } from '../../src/cli/error-report.js';
import type { OperatorClient } from '../../src/client/operator-client.js';
import { PairingCodeKind } from '../../src/generated/palyra/controlplane/v1/pairing.js';
import { PairingCodes } from '../../src/pairing/pairing-codes.js';
import { parsePinCode } from '../../src/pairing/protocol/code.js';
import { derivePassword } from '../../src/pairing/protocol/password.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { ManualClock } from '../../src/time/clock.js';
import { PairingServer } from '../cli/pairing-server.js';
import { TestDevice, approving, failureOf, mintPin, withWrongPin } from './paired-device.js';
import { RawPairing } from './raw-pairing.js';
import { ServiceProcess } from './service-process.js';

const PIN_LIFE_MS = 10 * 60_000;
/** Long enough for the service to start meanwhile. */
const LAST_BREATH_MS = 10_000;

const idOf = (code: string): string => parsePinCode(code).codeId;

describe('attacks on pairing', () => {
  let service: ServiceProcess;
  let operator: OperatorClient;
  let device: TestDevice;
  /** Ended before the service started; and one that ends while it runs, before its housekeeping comes by. */
  let expiredLongAgo: string;
  let expiring: { readonly codeId: string; readonly expiresAt: number };

  /** A live code that one wrong PIN was tried with. */
  let triedOnce: string;

  beforeAll(async () => {
    service = await ServiceProcess.prepare({
      PALYRA_PAIRING_STARTS_PER_MINUTE_PER_ADDRESS: '100000',
      PALYRA_PAIRING_STARTS_PER_MINUTE: '100000',
    });
    expiredLongAgo = (await mintAt(Date.now() - 2 * PIN_LIFE_MS)).codeId;
    expiring = await mintAt(Date.now() - PIN_LIFE_MS + LAST_BREATH_MS);
    await service.run();
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

  /** A code that an operator minted at `time`: the service's own minting, with the clock of that day. */
  async function mintAt(time: number): Promise<{ codeId: string; expiresAt: number }> {
    return service.withStore(async ({ unitOfWork, committed }) => {
      const codes = new PairingCodes({
        unitOfWork,
        committed,
        clock: new ManualClock(time),
        random: systemRandomBytes,
        caKeyHash: () => Buffer.alloc(32),
        defaultEndpoint: () => 'localhost:7443',
      });
      const caller = {
        kind: 'operator',
        operatorId: '7zk4m9qx',
        role: 'admin',
        source: '127.0.0.1',
      } as const;
      return (await codes.mint(caller, { kind: 'pin' })).code;
    });
  }

  const tryToPair = (code: string): Promise<unknown> =>
    failureOf(device.pair(service.grpc, code, approving(operator)));

  describe('a wrong PIN', () => {
    let before: Record<string, string[]>;
    let error: unknown;

    beforeAll(async () => {
      const code = await mintPin(operator);
      triedOnce = idOf(code);
      before = service.tables();
      const stranger = await TestDevice.create();
      error = await failureOf(stranger.pair(service.grpc, withWrongPin(code), approving(operator)));
      expect(await stranger.traces()).toEqual([]);
      await stranger.remove();
    });

    it('is refused by the device, which asks for a new code and exits with 3', () => {
      expect(error).toMatchObject({ kind: 'unauthenticated', reason: 'CONFIRMATION_FAILED' });
      expect(describeError(error)).toMatchObject({
        exitCode: 3,
        message: expect.stringContaining('new code') as unknown,
      });
    });

    it('leaves only the try row on the server', () => {
      const { pairing_try: tries, ...others } = service.tables();
      const { pairing_try: triesBefore, ...othersBefore } = before;
      expect(others).toEqual(othersBefore);
      expect(triesBefore).toEqual([]);
      expect(tries).toHaveLength(1);
      expect(JSON.parse(tries![0]!)).toMatchObject({ tries: 1, audited: 0 });
    });
  });

  it('gives at most three of 100 unfinished handshakes with the right PIN a server that knows it', async () => {
    const code = await mintPin(operator);
    const password = await derivePassword(parsePinCode(code));
    // A connection carries 32 calls at most.
    const connections = Array.from({ length: 4 }, () => new RawPairing(service.grpc));
    const handshakes = Array.from({ length: 100 }, (_, i) => connections[i % 4]!.begin(idOf(code), password));
    const known = await Promise.all(handshakes.map((handshake) => handshake.hello()));
    expect(known).toHaveLength(100);
    expect(known.filter(Boolean)).toHaveLength(3);
    for (const handshake of handshakes) handshake.cancel();
    for (const connection of connections) connection.close();
    expect(await tryToPair(code)).toMatchObject({ reason: 'CONFIRMATION_FAILED' });
  });

  describe('a false server that does not know the code', () => {
    let falseServer: PairingServer;

    beforeAll(async () => {
      falseServer = await PairingServer.start(new Map());
    });

    afterAll(() => {
      falseServer.stop();
    });

    it('gets no proof, and leaves nothing on the device', async () => {
      const code = await mintPin(operator);
      const error = await failureOf(device.pair(falseServer.endpoint, code, approving(operator)));
      expect(error).toMatchObject({ kind: 'unauthenticated', reason: 'CONFIRMATION_FAILED' });
      expect(describeError(error).exitCode).toBe(3);
      expect(falseServer.hellos).toHaveLength(1);
      expect(falseServer.proofs).toEqual([]);
      expect(await device.traces()).toEqual([]);
    });

    it('does not even hear hello from a device with a link', async () => {
      const { secretText } = await operator.createPairingCode({
        kind: PairingCodeKind.PAIRING_CODE_KIND_LINK,
      });
      const heard = falseServer.hellos.length;
      const error = await failureOf(device.pair(falseServer.endpoint, secretText, approving(operator)));
      expect(error).toMatchObject({ failure: 'refused', reason: 'FALSE_SERVER' });
      expect(falseServer.hellos).toHaveLength(heard);
      expect(await device.traces()).toEqual([]);
    });
  });

  it('answers unknown, expired, used, spent and withdrawn codes alike, and a wrong proof for a live one', async () => {
    const stranger = new RawPairing(service.grpc);
    const [used, spent, withdrawn, live] = [
      await mintPin(operator),
      await mintPin(operator),
      await mintPin(operator),
      await mintPin(operator),
    ];
    await device.pair(service.grpc, used, approving(operator));
    for (let i = 0; i < 3; i++) await stranger.guess(idOf(spent));
    await operator.withdrawPairingCode({ codeId: idOf(withdrawn) });
    await sleep(Math.max(0, expiring.expiresAt - Date.now() + 1));
    const codeIds = {
      unknown: ['ZZZZ', 'YYYY'].find((id) => id !== idOf(live))!,
      unknownLink: 'ZZZZYYYY',
      expiredLongAgo,
      expired: expiring.codeId,
      used: idOf(used),
      spent: idOf(spent),
      withdrawn: idOf(withdrawn),
      live: idOf(live),
    };
    const answers = await Promise.all(
      Object.entries(codeIds).map(async ([state, codeId]) => [state, await stranger.guess(codeId)] as const),
    );
    stranger.close();
    const [[, first]] = answers as [(typeof answers)[0]];
    expect(first.code).toBe('UNAUTHENTICATED');
    expect(first.metadata).toHaveProperty('grpc-status-details-bin');
    expect(Object.fromEntries(answers)).toEqual(Object.fromEntries(answers.map(([state]) => [state, first])));
  });

  it('has the tries of a live code in the audit log once housekeeping has come by', async () => {
    await service.restart();
    const { audit_entry: entries, pairing_try: tries } = service.tables();
    const tried = entries!.map((entry) => JSON.parse(entry) as { action: string; details: string });
    const counts = tried.filter(({ action }) => action === 'pairing.tried').map(({ details }) => details);
    expect(counts.filter((details) => details.includes(`"${triedOnce}":1`))).toHaveLength(1);
    const row = tries!.find((text) => text.includes(triedOnce));
    expect(JSON.parse(row!)).toMatchObject({ tries: 1, audited: 1 });
  });
});
