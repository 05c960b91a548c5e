import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import quiche from '@matrixai/quic/native/quiche.js';
import type { Connection } from '@matrixai/quic/native/types.js';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { requestFrame } from '../../src/quic/node-rpc-message.js';
import { TestCa } from '../ca/test-ca.js';
import { cryptoFrame, initialPacket, readRetry } from './initial-packet.js';
import { eventually, TestDoor } from './quic-door.js';
import { RawPeer } from './raw-peer.js';

const PADDING = Buffer.alloc(1150);
const CRYPTO_BUFFER_EXCEEDED = 0x0d;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Why a call failed in the end; two thousand are more than any of these doors lets a connection make. */
async function callUntilRefused(call: () => Promise<unknown>): Promise<string> {
  try {
    for (let left = 2_000; left > 0; left -= 1) await call();
    return 'answered';
  } catch (error) {
    return (error as { reason: string }).reason;
  }
}

describe('memory that a peer can make the door hold', () => {
  let ca: TestCa;
  let door: TestDoor;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    ca = await TestCa.create();
    door = await TestDoor.open(ca);
  });

  afterAll(async () => {
    expect(door.observer.count('failure')).toBe(0);
    for (const socket of sockets) socket.close();
    await door.close();
  });

  /** A handshake whose CRYPTO data never comes to an end; the answer sends one packet more. */
  async function endlessHello(): Promise<() => void> {
    const socket = createSocket('udp4');
    sockets.push(socket);
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const send = (packet: Buffer): void => {
      socket.send(packet, door.port, '127.0.0.1');
    };
    const sourceId = randomBytes(8);
    const first = { destinationId: randomBytes(16), sourceId, token: Buffer.alloc(0), packetNumber: 0 };
    const answer = once(socket, 'message') as Promise<[Buffer]>;
    send(initialPacket(first, Buffer.concat([cryptoFrame(0, 4), PADDING])));
    const retry = readRetry((await answer)[0]);

    let packetNumber = 0;
    // Behind a gap: TLS never gets to see it, and quiche keeps it.
    const sendMore = (): void => {
      const header = { destinationId: retry.sourceId, sourceId, token: retry.token, packetNumber };
      send(initialPacket(header, cryptoFrame(5_000 + 1_110 * packetNumber, 1_110)));
      packetNumber += 1;
    };
    for (let left = 60; left > 0; left -= 1) sendMore();
    return sendMore;
  }

  const cutOff = (): number => door.observer.count(`handshake_failed.${CRYPTO_BUFFER_EXCEEDED}`);

  it('ends a handshake whose CRYPTO data never comes to an end (CVE-2024-1765)', async () => {
    await endlessHello();
    await eventually(() => cutOff() === 1);
    expect(door.endpoint.handshakesInProgress).toBe(0);
  });

  it('keeps nothing of it that quiche holds, though its late packets are still known', async () => {
    const natives: WeakRef<object>[] = [];
    const { prototype } = quiche.Connection as unknown as { prototype: Connection };
    const recv: Connection['recv'] = Reflect.get(prototype, 'recv');
    prototype.recv = function (this: Connection, ...datagram) {
      if (natives.length === 0) natives.push(new WeakRef(this));
      return recv.apply(this, datagram);
    };
    const before = cutOff();
    let sendMore: () => void;
    try {
      sendMore = await endlessHello();
      await eventually(() => cutOff() === before + 1);
    } finally {
      prototype.recv = recv;
    }
    expect(natives).toHaveLength(1);
    await eventually(() => {
      collectGarbage();
      return natives[0]?.deref() === undefined;
    });
    const dropped = (): number => door.observer.count('datagram_dropped');
    const droppedBefore = dropped();
    sendMore();
    await eventually(() => dropped() > droppedBefore);
    expect(door.endpoint.handshakesInProgress).toBe(0);
  });

  describe('of a device whose connection has brought its share besides streams', () => {
    const settings = { maxOverheadBytes: 50_000, maxUnreadBytes: 65_536, maxUnreadBytesPerStream: 65_536 };
    let narrow: TestDoor;

    beforeAll(async () => {
      narrow = await TestDoor.open(ca, { settings });
    });

    afterAll(async () => {
      expect(narrow.observer.count('failure')).toBe(0);
      await narrow.close();
    });

    it('lets it begin anew, however large its requests were', async () => {
      const device = await narrow.enrolled();
      const client = await narrow.connect(device);
      const text = 'x'.repeat(10_000);
      const ends = await callUntilRefused(() => client.call('test.echo', { params: { text } }));
      expect(ends).toBe('GOING_AWAY');
      expect((await client.closed).code).toBe(7);
      expect(await narrow.attempt(device)).toBe('answered');
    });

    it('cuts it off when it goes on behind a call that is not answered', async () => {
      const allocated = jest.spyOn(Buffer, 'allocUnsafeSlow');
      const { chain, key } = await narrow.enrolled();
      const identity = { roots: ca.rootPem, own: { chain, key } };
      const peer = await RawPeer.open(narrow.port, identity, { trustDomain: ca.trustDomain });
      await peer.runUntil(() => peer.native.isEstablished());
      peer.native.streamSend(0, requestFrame('test.wait'), true);
      peer.flush();
      await eventually(() => narrow.endpoint.admittedConnections === 1);
      for (let left = 6_000; left > 0 && narrow.endpoint.admittedConnections === 1; left -= 1) {
        peer.native.sendAckEliciting();
        peer.flush();
        if (left % 20 === 0) await peer.heard(20);
        peer.process();
      }
      await peer.runUntil(() => peer.native.peerError() !== null);
      expect(peer.native.peerError()).toMatchObject({ isApp: false, errorCode: CRYPTO_BUFFER_EXCEEDED });
      expect(narrow.endpoint.admittedConnections).toBe(0);
      peer.close();
      // V8 is told what there is to collect, or a device that comes back for more fills the memory with what has ended.
      await eventually(() => allocated.mock.calls.some(([bytes]) => bytes > 500_000));
      allocated.mockRestore();
    });
  });

  it('lets a device send as much as it likes on its streams', async () => {
    const device = await door.enrolled();
    const client = await door.connect(device);
    const text = 'x'.repeat(400_000);
    for (let i = 0; i < 20; i += 1) {
      const response = await client.call('test.echo', { params: { text } });
      expect(response.result).toEqual({ text });
    }
    expect(client.isClosed).toBe(false);
  });
});
