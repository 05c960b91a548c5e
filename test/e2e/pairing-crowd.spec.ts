import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { OperatorClient } from '../../src/client/operator-client.js';
import { PairingCodeKind, PairingState } from '../../src/generated/palyra/controlplane/v1/pairing.js';
import { parsePinCode } from '../../src/pairing/protocol/code.js';
import { parseCodeOrLink } from '../../src/pairing/protocol/link.js';
import { derivePassword } from '../../src/pairing/protocol/password.js';
import { rounds, timeLimit } from '../scale.js';
import { LoopbackSource } from './loopback.js';
import { TestDevice, approving, failureOf, mintPin, reasonOf } from './paired-device.js';
import { RawPairing } from './raw-pairing.js';
import { ServiceProcess } from './service-process.js';

const DEVICES = rounds(100, 240);
const STRANGERS = rounds(500, 10_000);
const ADDRESSES = 10;

/** What two operators answered at the same moment came to. */
interface Decided {
  readonly fingerprint: string | undefined;
  readonly told: readonly string[];
}

describe('a crowd', () => {
  let service: ServiceProcess;
  let operators: OperatorClient[];
  let sources: LoopbackSource[];

  beforeAll(async () => {
    service = await ServiceProcess.start({
      PALYRA_PAIRING_STARTS_PER_MINUTE_PER_ADDRESS: '100000',
      PALYRA_PAIRING_STARTS_PER_MINUTE: '100000',
    });
    operators = [await service.operator(), await service.operator()];
    sources = await LoopbackSource.openMany(service.grpc, ADDRESSES);
  });

  afterAll(async () => {
    for (const source of sources) source.close();
    await service.remove();
  });

  const sourceOf = (index: number): LoopbackSource => sources[index % ADDRESSES]!;
  const mintLink = async (): Promise<string> =>
    (await operators[0]!.createPairingCode({ kind: PairingCodeKind.PAIRING_CODE_KIND_LINK })).secretText;

  /** Both operators at once: the first approves, the second approves or rejects. */
  async function decideAtOnce(requestId: string, against: boolean): Promise<Decided> {
    const [first, second] = operators as [OperatorClient, OperatorClient];
    const approval = first.approveNodePairingRequest({ requestId, reason: 'one' });
    const other = against
      ? second.rejectNodePairingRequest({ requestId, reason: 'other' })
      : second.approveNodePairingRequest({ requestId, reason: 'other' });
    const failures = [await failureOf(approval), await failureOf(other)].filter(
      (error) => error !== undefined,
    );
    const certificate = await approval.then(
      (answer) => answer.certificate?.fingerprint.toString('hex'),
      () => undefined,
    );
    return { fingerprint: certificate, told: failures.map((error) => (error as Error).message) };
  }

  it(
    'of devices gets each its own certificate, and of two opposite decisions one',
    async () => {
      const links = [];
      for (let index = 0; index < DEVICES; index += 1) links.push(await mintLink());
      const before = service.tables();
      const walks = await Promise.all(
        links.map(async (link, index) => {
          const device = await TestDevice.create();
          const against = index % 3 === 0;
          let decided: Decided | undefined;
          let requestId: string | undefined;
          const failure = await failureOf(
            device.pair(sourceOf(index).endpoint, link, async (id) => {
              requestId = id;
              decided = await decideAtOnce(id, against);
            }),
          );
          return { device, against, decided: decided!, requestId: requestId!, failure, index };
        }),
      );

      for (const { device, against, decided, requestId, failure, index } of walks) {
        const isApproved = decided.fingerprint !== undefined;
        const { request } = await operators[0]!.getNodePairingRequest({ requestId });
        expect(request?.sourceAddress).toBe(sourceOf(index).address);
        if (!against) expect(decided.told).toEqual([]);
        else expect(decided.told).toEqual([expect.stringContaining(isApproved ? 'approved' : 'rejected')]);
        if (isApproved) {
          expect(failure).toBeUndefined();
          expect(device.paired.fingerprint).toBe(decided.fingerprint);
          expect(device.paired.deviceId).toBe(request?.deviceId);
          expect(request?.state).toBe(PairingState.PAIRING_STATE_COMPLETED);
        } else {
          expect(reasonOf(failure)).toBe('REJECTED');
          expect(await device.records()).toEqual([]);
          expect(request?.state).toBe(PairingState.PAIRING_STATE_REJECTED);
        }
      }

      const approved = walks.filter(({ decided }) => decided.fingerprint !== undefined);
      expect(approved.length).toBeGreaterThanOrEqual(walks.filter(({ against }) => !against).length);
      expect(new Set(approved.map(({ device }) => device.paired.fingerprint)).size).toBe(approved.length);
      const after = service.tables();
      const grown = (table: string): number => after[table]!.length - before[table]!.length;
      expect(grown('certificate')).toBe(approved.length);
      expect(grown('device')).toBe(approved.length);
      expect(grown('pairing_request')).toBe(DEVICES);
      const decisions = after['audit_entry']!.filter((entry) => /"pairing\.(approved|rejected)"/.test(entry));
      expect(decisions).toHaveLength(DEVICES);
      for (const { device } of walks) await device.remove();
    },
    timeLimit(240_000, 3),
  );

  it('of 100 connections that guess one PIN gets three guesses, whoever finishes what', async () => {
    const code = await mintPin(operators[0]!);
    const { codeId } = parsePinCode(code);
    const password = await derivePassword(parsePinCode(code));
    const connections = Array.from({ length: 100 }, (_, index) => new RawPairing(sourceOf(index).endpoint));
    const rightGuesses = await Promise.all(
      connections.map(async (connection) => {
        let right = 0;
        for (let guess = 0; guess < 2; guess += 1) {
          const handshake = connection.begin(codeId, password);
          if (await handshake.hello()) right += 1;
          handshake.cancel();
        }
        return right;
      }),
    );
    for (const connection of connections) connection.close();
    expect(rightGuesses.reduce((sum, right) => sum + right, 0)).toBe(3);
    const device = await TestDevice.create();
    const failure = await failureOf(device.pair(service.grpc, code, approving(operators[0]!)));
    expect(reasonOf(failure)).toBe('CONFIRMATION_FAILED');
    await device.remove();
  });

  it(
    'of strangers who fail with a link does not end it',
    async () => {
      const link = await mintLink();
      const { codeId } = parseCodeOrLink(link);
      const strangers = Array.from(
        { length: ADDRESSES },
        (_, index) => new RawPairing(sourceOf(index).endpoint),
      );
      let tried = 0;
      const answers = new Map<string, number>();
      await Promise.all(
        strangers.map(async (stranger) => {
          while (tried < STRANGERS) {
            tried += 1;
            const answer = JSON.stringify(await stranger.guess(codeId));
            answers.set(answer, (answers.get(answer) ?? 0) + 1);
          }
        }),
      );
      for (const stranger of strangers) stranger.close();
      expect([...answers.values()]).toEqual([STRANGERS]);
      expect([...answers.keys()][0]).toContain('UNAUTHENTICATED');
      const device = await TestDevice.create();
      const certificate = await device.pair(service.grpc, link, approving(operators[0]!));
      expect(certificate.chain.length).toBeGreaterThan(0);
      await device.remove();
    },
    timeLimit(120_000, 20),
  );
});
