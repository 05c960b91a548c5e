import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fetchBundle } from '../../src/client/device/bundle-refresh.js';
import { renewDevice } from '../../src/client/device/renewal.js';
import type { OperatorClient } from '../../src/client/operator-client.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { systemClock } from '../../src/time/clock.js';
import { isSoak, timeLimit } from '../scale.js';
import { approving, failureOf, mintPin, pairedDevice, reasonOf, TestDevice } from './paired-device.js';
import { ServiceProcess } from './service-process.js';

/** A rotation over real sockets, with certificates that live for seconds, while clients connect all the time. */
describe('a rotation under load', () => {
  let service: ServiceProcess;
  let operator: OperatorClient;
  const devices: TestDevice[] = [];
  const failures: string[] = [];
  const leaves = new Set<string>();
  let rounds = 0;
  let running = true;

  beforeAll(async () => {
    service = await ServiceProcess.start({
      PALYRA_SERVER_CERT_VALIDITY: '3s',
      PALYRA_CERT_VALIDITY: '4s',
      PALYRA_QUIC_MAX_HANDSHAKES_PER_ADDRESS: '64',
    });
    operator = await service.operator();
    for (let count = 0; count < 4; count += 1) devices.push(await pairedDevice(service, operator));
  }, 60_000);

  afterAll(async () => {
    for (const device of devices) await device.remove();
    await service.remove();
  });

  async function renew(device: TestDevice): Promise<void> {
    const { signal } = new AbortController();
    const options = { directory: device.directory, endpoint: undefined, signal };
    const renewed = await renewDevice({ ...options, clock: systemClock, random: systemRandomBytes });
    device.certificate = renewed.certificate;
  }

  /** One device that renews, connects and asks on both doors, over and over; every failure counts. */
  async function load(device: TestDevice): Promise<void> {
    while (running) {
      try {
        await renew(device);
        const bundle = await fetchBundle(service.grpc, device.paired, new AbortController().signal);
        expect(bundle?.roots.length).toBeGreaterThan(0);
        const { answers, reason } = await device.attempt();
        if (answers.length !== 1 || answers[0]?.ok !== true) failures.push(`health: ${String(reason)}`);
        rounds += 1;
      } catch (error) {
        failures.push(String(reasonOf(error)));
      }
      await sleep(50);
    }
  }

  function tls(options: ConnectionOptions): Promise<TLSSocket | string> {
    return new Promise((resolve) => {
      const { host, port } = service.grpc;
      const socket = connect({ host, port, ALPNProtocols: ['h2'], rejectUnauthorized: false, ...options });
      socket.once('secureConnect', () => {
        resolve(socket);
      });
      socket.once('error', (error: NodeJS.ErrnoException) => {
        resolve(error.code ?? error.message);
      });
    });
  }

  /** Notes the leaf of the gRPC door, and that what TLS must refuse it refuses, whichever certificate is served. */
  async function look(): Promise<void> {
    let session: Buffer | undefined;
    while (running) {
      const socket = await tls(session === undefined ? {} : { session });
      if (typeof socket === 'string') failures.push(`TLS: ${socket}`);
      else {
        if (socket.isSessionReused()) failures.push('a session was resumed');
        socket.on('session', (given: Buffer) => {
          session = given;
        });
        leaves.add(socket.getPeerCertificate().fingerprint256);
        await sleep(30);
        socket.destroy();
      }
      const old = await tls({ maxVersion: 'TLSv1.2' });
      if (typeof old !== 'string') failures.push('TLS 1.2 was taken');
      await sleep(200);
    }
  }

  it(
    'fails no handshake, drops no connection, and lets who slept return',
    async () => {
      const [sleeper, ...busy] = devices;
      const held = await service.operator();
      const waiting = await TestDevice.create();
      devices.push(waiting);
      await waiting.pairUntilWaiting(service.grpc, await mintPin(operator));
      const work = [...busy.map(load), look()];
      await sleep(1500);

      const { root } = await operator.prepareRoot({ reason: 'test' });
      await sleep(1000);
      await operator.activateRoot({ keyId: root?.keyId ?? '' });
      expect(reasonOf(await failureOf(operator.retireRoot()))).toBe('ROOT_IN_USE');
      while (reasonOf(await failureOf(operator.retireRoot())) === 'ROOT_IN_USE') await sleep(250);
      expect((await operator.listRoots()).roots.map(({ keyId }) => keyId)[0]).toBe(root?.keyId);
      await sleep(isSoak ? 45_000 : 1000);
      running = false;
      await Promise.all(work);

      expect(failures).toEqual([]);
      expect(rounds).toBeGreaterThan(busy.length * 3);
      expect(leaves.size).toBeGreaterThanOrEqual(4);
      // The connection of before the rotation, opened with the token that pins the old root, and a new one with it.
      expect((await held.getStatus()).trustDomain).not.toBe('');
      expect((await (await service.operator()).listRoots()).roots).toHaveLength(2);

      const { roots } = sleeper!.paired.cluster;
      await renew(sleeper!);
      expect(sleeper!.paired.cluster.roots).not.toEqual(roots);
      expect((await sleeper!.attempt()).answers).toMatchObject([{ ok: true }]);
      await waiting.resume(approving(operator));
      expect((await waiting.attempt()).answers).toMatchObject([{ ok: true }]);

      const { client } = await sleeper!.connect();
      // A client believes that it is in before the server has judged it: only an answer shows that it is.
      expect((await client.health()).ok).toBe(true);
      const { closedConnections } = await operator.replaceCompromisedRoots({ reason: 'test' });
      expect(closedConnections).toBeGreaterThanOrEqual(1);
      expect((await client.closed).code).toBe(3);
      expect(reasonOf(await failureOf(renew(sleeper!)))).toBe('FALSE_SERVER');
      expect(reasonOf(await failureOf(operator.listRoots()))).toBe('CREDENTIALS_INVALID');
      const again = await service.operator();
      const { devices: lost } = await again.listDevicesToPair({});
      expect(lost.map(({ deviceId }) => deviceId)).toContain(sleeper!.paired.deviceId);
      expect(lost).toHaveLength(devices.length);
      await sleeper!.pair(service.grpc, await mintPin(again), approving(again));
      expect((await sleeper!.attempt()).answers).toMatchObject([{ ok: true }]);
      expect((await again.listDevicesToPair({})).devices).toHaveLength(devices.length - 1);
    },
    timeLimit(90_000, 3),
  );
});
