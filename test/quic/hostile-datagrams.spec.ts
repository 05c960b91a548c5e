import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createSocket, type Socket } from 'node:dgram';
import { TestCa, type TestDevice } from '../ca/test-ca.js';
import { eventually, TestDoor } from './quic-door.js';
import { RawPeer } from './raw-peer.js';

/** Small and repeatable; the count is what matters, not the quality. */
function pseudoRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe('hostile datagrams', () => {
  let ca: TestCa;
  let door: TestDoor;
  let device: TestDevice;
  let socket: Socket;
  const random = pseudoRandom(20_261_123);

  const send = (datagram: Buffer): Promise<void> =>
    new Promise((resolve) => {
      socket.send(datagram, door.port, '127.0.0.1', () => {
        resolve();
      });
    });

  const peer = (session?: Uint8Array): Promise<RawPeer> =>
    RawPeer.open(
      door.port,
      {
        roots: ca.rootPem,
        own: session === undefined ? { chain: device.chain, key: device.key } : undefined,
      },
      { trustDomain: ca.trustDomain, ...(session === undefined ? {} : { session }) },
    );

  beforeAll(async () => {
    ca = await TestCa.create();
    door = await TestDoor.open(ca, { settings: { handshakeTimeoutMs: 500 } });
    device = await door.enrolled();
    socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  });

  afterAll(async () => {
    expect(door.observer.count('failure')).toBe(0);
    socket.close();
    await door.close();
  });

  it('survives the 0-RTT header that ends other servers, and counts it', async () => {
    await send(Buffer.from('d0000000010000', 'hex'));
    await eventually(() => door.observer.count('datagram_dropped.zero_rtt') === 1);
    expect(await door.attempt(device)).toBe('answered');
  });

  it('survives random bytes of every size', async () => {
    const client = await door.connect(device);
    await client.health();
    for (let index = 0; index < 1_500; index += 1) {
      const datagram = Buffer.alloc(random(1_400));
      for (let at = 0; at < datagram.length; at += 1) datagram[at] = random(256);
      await send(datagram);
    }
    expect((await client.health()).ok).toBe(true);
    await client.close();
  });

  it('survives mutated and truncated packets of a real handshake, with and without a valid token', async () => {
    const recorded: Buffer[] = [];
    for (let index = 0; index < 3; index += 1) {
      const real = await peer();
      const first = real.outgoing();
      recorded.push(...first);
      for (const datagram of first) real.sendDatagram(datagram);
      await real.heard();
      real.process();
      const second = real.outgoing();
      recorded.push(...second);
      for (const datagram of second) real.sendDatagram(datagram);
      await real.heard();
      real.process();
      recorded.push(...real.outgoing());
      real.close();
    }
    for (let index = 0; index < 2_500; index += 1) {
      const copy = Buffer.from(recorded[random(recorded.length)]!);
      for (let changes = random(6); changes > 0; changes -= 1)
        copy[random(Math.min(copy.length, 120))] = random(256);
      await send(random(4) === 0 ? copy.subarray(0, random(copy.length)) : copy);
      // The server works through them as they come, and its socket buffer does not overflow.
      if (index % 50 === 0) await new Promise(setImmediate);
    }
    await eventually(() => door.endpoint.handshakesInProgress === 0);
    expect(await door.attempt(device)).toBe('answered');
  });

  it('answers unknown versions with the one it speaks', async () => {
    const stranger = await peer();
    const [initial] = stranger.outgoing();
    initial!.writeUInt32BE(0x1a2a3a4a, 1);
    stranger.sendDatagram(initial!);
    expect(await stranger.heard()).toBe(true);
    const answer = stranger.received[0]!;
    expect(answer.readUInt32BE(1)).toBe(0);
    expect(answer.subarray(-8, -4).toString('hex')).toBe('00000001');
    stranger.close();
  });

  it('refuses a token of another address and connection id', async () => {
    const owner = await peer();
    owner.flush();
    await owner.heard();
    owner.process();
    const [withToken] = owner.outgoing();
    const id = 6;
    withToken![id + 3]! ^= 0xff;
    const before = door.observer.count('datagram_dropped.token_forged');
    owner.sendDatagram(withToken!);
    await eventually(() => door.observer.count('datagram_dropped.token_forged') === before + 1);
    owner.close();
  });

  it('lets nobody come back on a ticket: neither early data nor a resumed session skip the certificate', async () => {
    const first = await peer();
    await first.runUntil(() => first.native.session() !== null);
    const session = first.native.session();
    expect(session).not.toBeNull();
    first.close();
    const calls = door.handler.calls;
    const again = await peer(session!);
    expect(again.native.isInEarlyData()).toBe(false);
    await again.runUntil(() => again.native.peerError() !== null);
    expect(again.native.peerError()?.errorCode).toBe(256 + 116);
    expect(door.handler.calls).toBe(calls);
    again.close();
  });
});
