import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { QuicClient } from '../../src/quic/quic-client.js';
import { TestCa } from '../ca/test-ca.js';
import { certificateOf, eventually, gate, TestDoor, type DoorOptions } from './quic-door.js';
import { RawPeer } from './raw-peer.js';

describe('bounds of the QUIC door', () => {
  let ca: TestCa;
  let door: TestDoor;
  const peers: RawPeer[] = [];

  const open = async (options: DoorOptions): Promise<TestDoor> => {
    door = await TestDoor.open(ca, options);
    return door;
  };

  const stranger = async (from?: string): Promise<RawPeer> => {
    const identity = { roots: ca.rootPem, own: undefined };
    const where = from === undefined ? {} : { from };
    const peer = await RawPeer.open(door.port, identity, { trustDomain: ca.trustDomain, ...where });
    peers.push(peer);
    return peer;
  };

  beforeAll(async () => {
    ca = await TestCa.create();
  });

  afterEach(async () => {
    for (const peer of peers.splice(0)) peer.close();
    await door.close();
  });

  it('refuses connection 257 at once and leaves the first 256 unharmed', async () => {
    await open({ settings: { maxConnectionsPerDevice: 300, maxHandshakesPerSource: 64 } });
    const device = await door.enrolled();
    const clients: QuicClient[] = [];
    while (clients.length < 256) {
      const batch = await Promise.all(Array.from({ length: 16 }, () => door.connect(device)));
      await Promise.all(batch.map((client) => client.health()));
      clients.push(...batch);
    }
    expect(door.endpoint.admittedConnections).toBe(256);
    const startedAt = performance.now();
    expect(await door.attempt(device)).toBe('CONNECTION_REFUSED');
    expect(performance.now() - startedAt).toBeLessThan(500);
    expect(door.observer.count('handshake_turned_away.connections_full')).toBe(1);
    const answers = await Promise.all(clients.map((client) => client.health()));
    expect(answers.every(({ ok }) => ok)).toBe(true);

    await clients[0]!.close();
    await eventually(() => door.endpoint.admittedConnections === 255);
    expect(await door.attempt(device)).toBe('answered');
  });

  it('tells the fifth connection of a device that it is busy', async () => {
    await open({});
    const device = await door.enrolled();
    const clients = await Promise.all([1, 2, 3, 4].map(() => door.connect(device)));
    await Promise.all(clients.map((client) => client.health()));
    expect(await door.attempt(device)).toBe('BUSY');
    expect(door.observer.count('refused.connections_of_device_full')).toBe(1);
    expect(await door.attempt(await door.enrolled())).toBe('answered');
    const answers = await Promise.all(clients.map((client) => client.health()));
    expect(answers).toHaveLength(4);
  });

  it('lets the newest certificate in though an older one holds all places of the device', async () => {
    await open({});
    const old = await door.enrolled();
    const clients: QuicClient[] = [];
    while (clients.length < 4) {
      const client = await door.connect(old);
      await client.health();
      clients.push(client);
    }
    const newest = await ca.device({ deviceId: old.deviceId });
    door.registry.enrol(newest, { current: certificateOf(newest), previous: certificateOf(old) });
    const client = await door.connect(newest);
    expect((await client.health()).ok).toBe(true);
    expect(door.endpoint.admittedConnections).toBe(4);
    await eventually(() => clients[0]?.isClosed === true);
    expect(clients.map(({ isClosed }) => isClosed)).toEqual([true, false, false, false]);
    expect(door.observer.count('closed.5')).toBe(1);
    // Not the other way round.
    expect(await door.attempt(old)).toBe('BUSY');
    expect(client.isClosed).toBe(false);
  });

  it('checks the bound again when admission has been decided', async () => {
    await open({ limit: 1 });
    const [first, second] = [await door.enrolled(), await door.enrolled()];
    const decided = gate();
    let waiting = 0;
    door.registry.afterRead = () => {
      waiting += 1;
      return decided.passed;
    };
    const attempts = [door.attempt(first), door.attempt(second)];
    await eventually(() => waiting === 2);
    decided.open();
    expect((await Promise.all(attempts)).sort()).toEqual(['BUSY', 'answered']);
  });

  it('bounds half-open handshakes by address and frees them when they stall out', async () => {
    await open({ settings: { handshakeTimeoutMs: 400, maxHandshakesPerSource: 3 } });
    const device = await door.enrolled();
    for (let index = 0; index < 3; index += 1) await (await stranger('127.0.0.2')).halfOpen();
    expect(door.endpoint.handshakesInProgress).toBe(3);
    const fourth = await stranger('127.0.0.2');
    await fourth.runUntil(() => fourth.native.peerError() !== null);
    expect(fourth.native.peerError()?.errorCode).toBe(2);
    expect(door.observer.count('handshake_turned_away.handshakes_of_source_full')).toBe(1);
    expect(await door.attempt(device)).toBe('answered');
    await eventually(() => door.endpoint.handshakesInProgress === 0);
    expect(door.observer.count('handshake_timed_out')).toBe(3);
    const fifth = await stranger('127.0.0.2');
    await fifth.halfOpen();
    expect(door.endpoint.handshakesInProgress).toBe(1);
  });

  it('bounds handshakes of all addresses together', async () => {
    await open({ settings: { maxHandshakes: 2 } });
    await (await stranger('127.0.0.2')).halfOpen();
    await (await stranger('127.0.0.3')).halfOpen();
    expect(await door.attempt(await door.enrolled())).toBe('CONNECTION_REFUSED');
    expect(door.observer.count('handshake_turned_away.handshakes_full')).toBe(1);
  });

  it('lets a device in though a few addresses hold every handshake, and ends the oldest of theirs', async () => {
    await open({ settings: { maxHandshakes: 4, maxHandshakesPerSource: 2 } });
    const stalled: RawPeer[] = [];
    for (const from of ['127.0.0.2', '127.0.0.2', '127.0.0.3', '127.0.0.3']) {
      const peer = await stranger(from);
      await peer.halfOpen();
      stalled.push(peer);
    }
    expect(door.endpoint.handshakesInProgress).toBe(4);
    expect(await door.attempt(await door.enrolled())).toBe('answered');
    expect(door.observer.count('handshake_turned_away.gave_way')).toBe(1);
    await stalled[0]!.runUntil(() => stalled[0]!.native.peerError() !== null);
    expect(stalled[0]!.native.peerError()?.errorCode).toBe(2);
    expect(door.endpoint.handshakesInProgress).toBe(3);
  });

  it('gives the slot of an aborted handshake back at once', async () => {
    await open({});
    const peer = await stranger();
    await peer.halfOpen();
    expect(door.endpoint.handshakesInProgress).toBe(1);
    // quiche says nothing before it has heard the server; then it tells of its abort instead of finishing.
    peer.process();
    peer.native.close(false, 0, new Uint8Array(0));
    peer.flush();
    await eventually(() => door.endpoint.handshakesInProgress === 0);
  });

  it('spends nothing on an Initial whose address has not been validated', async () => {
    await open({});
    const peer = await stranger();
    peer.flush();
    expect(await peer.heard()).toBe(true);
    expect(door.endpoint.handshakesInProgress).toBe(0);
  });
});
