import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import quiche from '@matrixai/quic/native/quiche.js';
import { createSocket, type Socket } from 'node:dgram';
import { requestFrame } from '../../src/quic/node-rpc-message.js';
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

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, index) =>
    permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]),
  );
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

  const peer = ({ own, session }: { own: boolean; session?: Uint8Array }): Promise<RawPeer> =>
    RawPeer.open(
      door.port,
      { roots: ca.rootPem, own: own ? { chain: device.chain, key: device.key } : undefined },
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
    for (let index = 0; index < 800; index += 1) {
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
      const real = await peer({ own: true });
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
    for (let index = 0; index < 2_000; index += 1) {
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
    const stranger = await peer({ own: true });
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
    const owner = await peer({ own: true });
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

  it('survives every order of data, FIN, RESET and STOP_SENDING from a device that is in', async () => {
    const hostile = await peer({ own: true });
    await hostile.runUntil(() => hostile.native.isEstablished());
    const { native } = hostile;
    const request = requestFrame('test.echo', { params: { text: 'x'.repeat(3_000) } });
    const steps: Record<string, (id: number) => void> = {
      data: (id) => native.streamSend(id, request, false),
      half: (id) => native.streamSend(id, request.subarray(0, 100), false),
      fin: (id) => native.streamSend(id, new Uint8Array(0), true),
      reset: (id) => native.streamShutdown(id, quiche.Shutdown.Write, 7),
      stop: (id) => native.streamShutdown(id, quiche.Shutdown.Read, 7),
    };
    const before = door.handler.calls;
    let id = 0;
    for (const order of permutations(Object.keys(steps))) {
      for (const step of order) {
        try {
          steps[step]!(id);
        } catch {
          // Not every order makes sense to quiche; what it can send is sent.
        }
        if (random(4) === 0) continue;
        hostile.flush();
        await new Promise(setImmediate);
        hostile.process();
      }
      await hostile.runUntil(() => native.peerStreamsLeftBidi() > 0 || native.isClosed());
      id += 4;
    }
    expect(id).toBe(480);
    expect(native.isClosed()).toBe(false);
    expect(door.handler.calls - before).toBeGreaterThan(20);
    expect(await door.attempt(device)).toBe('answered');
    hostile.close();
  });

  it('lets nobody come back on a ticket: neither early data nor a resumed session skip the certificate', async () => {
    const first = await peer({ own: true });
    await first.runUntil(() => first.native.session() !== null);
    const session = first.native.session();
    expect(session).not.toBeNull();
    first.close();
    const calls = door.handler.calls;
    const again = await peer({ own: false, session: session! });
    expect(again.native.isInEarlyData()).toBe(false);
    await again.runUntil(() => again.native.peerError() !== null);
    expect(again.native.peerError()?.errorCode).toBe(256 + 116);
    expect(door.handler.calls).toBe(calls);
    again.close();
  });
});
