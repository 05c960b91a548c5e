import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { TestCa } from '../ca/test-ca.js';
import { cryptoFrame, initialPacket, readRetry } from './initial-packet.js';
import { eventually, TestDoor } from './quic-door.js';

const PADDING = Buffer.alloc(1150);
const CRYPTO_BUFFER_EXCEEDED = 0x0d;

describe('memory that a peer can make the door hold', () => {
  let ca: TestCa;
  let door: TestDoor;
  let socket: Socket;

  const send = (packet: Buffer): void => {
    socket.send(packet, door.port, '127.0.0.1');
  };

  beforeAll(async () => {
    ca = await TestCa.create();
    door = await TestDoor.open(ca);
    socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  });

  afterAll(async () => {
    expect(door.observer.count('failure')).toBe(0);
    socket.close();
    await door.close();
  });

  it('ends a handshake whose CRYPTO data never comes to an end (CVE-2024-1765)', async () => {
    const sourceId = randomBytes(8);
    const first = { destinationId: randomBytes(16), sourceId, token: Buffer.alloc(0), packetNumber: 0 };
    const answer = once(socket, 'message') as Promise<[Buffer]>;
    send(initialPacket(first, Buffer.concat([cryptoFrame(0, 4), PADDING])));
    const retry = readRetry((await answer)[0]);

    // Behind a gap: TLS never gets to see it, and quiche keeps it.
    for (let packetNumber = 0; packetNumber < 60; packetNumber += 1) {
      const header = { destinationId: retry.sourceId, sourceId, token: retry.token, packetNumber };
      send(initialPacket(header, cryptoFrame(5_000 + 1_110 * packetNumber, 1_110)));
    }
    await eventually(() => door.observer.count(`handshake_failed.${CRYPTO_BUFFER_EXCEEDED}`) === 1);
    expect(door.endpoint.handshakesInProgress).toBe(0);
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
