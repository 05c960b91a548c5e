import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { pick, type PseudoRandom, pseudoRandom } from '../pseudo-random.js';
import { announcedSeed, rounds, timeLimit } from '../scale.js';
import { AttackedDoor } from './attacked-door.js';
import { cryptoFrame, initialPacket } from './initial-packet.js';

const MIB = 1024 * 1024;
const SOURCES = 40;
/** Datagrams between two calls of the device that is in. */
const BURST = 100;

/** What a datagram is made from. */
interface Material {
  readonly random: PseudoRandom;
  /** Datagrams of handshakes that were really held, with their tokens. */
  readonly recorded: readonly Buffer[];
}

type Kind = (material: Material) => Buffer;

/** Every kind of datagram that a stranger can think of; each is answered shortly, or dropped and counted. */
const KINDS: Readonly<Record<string, Kind>> = {
  noise: ({ random }) => randomBytes(random(1_400)),
  noiseWithLongHeader: ({ random }) => {
    const datagram = randomBytes(20 + random(1_300));
    datagram[0] = 0xc0 | random(64);
    datagram.writeUInt32BE(1, 1);
    return datagram;
  },
  mutated: ({ random, recorded }) => {
    const copy = Buffer.from(pick(random, recorded));
    for (let changes = 1 + random(6); changes > 0; changes -= 1)
      copy[random(Math.min(copy.length, 120))] = random(256);
    return copy;
  },
  truncated: ({ random, recorded }) => {
    const whole = pick(random, recorded);
    return whole.subarray(0, random(whole.length));
  },
  replayed: ({ random, recorded }) => pick(random, recorded),
  zeroRtt: ({ random, recorded }) => {
    const copy = Buffer.from(pick(random, recorded));
    copy[0] = 0xd0 | random(16);
    return copy;
  },
  unknownVersion: ({ random, recorded }) => {
    const copy = Buffer.from(pick(random, recorded));
    copy.writeUInt32BE(2 + random(0x7fffffff), 1);
    return copy;
  },
  forgedToken: ({ random }) =>
    initialPacket(
      {
        destinationId: randomBytes(20),
        sourceId: randomBytes(8),
        token: randomBytes(1 + random(100)),
        packetNumber: 0,
      },
      Buffer.concat([cryptoFrame(random(5_000), 300), Buffer.alloc(900)]),
    ),
  shortHeader: ({ random }) => {
    const datagram = randomBytes(1 + random(1_300));
    datagram[0] = 0x40 | random(64);
    return datagram;
  },
};

describe('floods of hostile datagrams from many addresses', () => {
  const count = rounds(20_000, 200_000);
  const sockets: Socket[] = [];
  let door: AttackedDoor;

  beforeAll(async () => {
    door = await AttackedDoor.open(2, { handshakeTimeoutMs: 200, drainTimeoutMs: 100 });
    for (let index = 0; index < SOURCES; index += 1) {
      const socket = createSocket('udp4');
      await new Promise<void>((resolve) => socket.bind(0, `127.3.${String(index)}.1`, resolve));
      // What comes back is for nobody; left unread it would fill this process's buffers.
      socket.on('message', () => undefined);
      sockets.push(socket);
    }
  });

  afterAll(() => {
    expect(door.errors).toBe('');
    for (const socket of sockets) socket.close();
    door.close();
  });

  const send = (datagram: Buffer, random: PseudoRandom): Promise<void> =>
    new Promise((resolve) => {
      pick(random, sockets).send(datagram, door.facts.port, '127.0.0.1', () => {
        resolve();
      });
    });

  it(
    `leave the door answering, its memory flat and every drop counted (${String(count)} of them)`,
    async () => {
      const random = pseudoRandom(announcedSeed('flood', count));
      const recorded = await recordedHandshakes(door, 6);
      const makers = Object.values(KINDS);
      const client = await door.client(0);
      const flood = async (datagrams: number): Promise<void> => {
        for (let sent = 0; sent < datagrams; sent += 1) {
          await send(pick(random, makers)({ random, recorded }), random);
          if (sent % BURST === 0) expect((await client.health()).ok).toBe(true);
        }
        expect((await client.health()).ok).toBe(true);
      };
      await flood(count / 2);
      const before = await door.state();
      await flood(count / 2);
      await client.close();
      const after = await door.quietState();
      expect(after.memory - before.memory).toBeLessThan(Math.max(16 * MIB, before.memory / 10));
      expect(after.counts['failure']).toBeUndefined();
      for (const reason of [
        'zero_rtt',
        'unknown_version',
        'token_malformed',
        'unknown_connection',
        'truncated',
      ]) {
        expect([reason, after.counts[`datagram_dropped.${reason}`] ?? 0]).not.toEqual([reason, 0]);
      }
    },
    timeLimit(60_000, 10),
  );
});

/** The client's datagrams of so many handshakes, from the first Initial to the one that ends them. */
async function recordedHandshakes(door: AttackedDoor, count: number): Promise<Buffer[]> {
  const recorded: Buffer[] = [];
  for (let index = 0; index < count; index += 1) {
    const peer = await door.peer({ device: 1 });
    for (let flight = 0; flight < 3; flight += 1) {
      const datagrams = peer.outgoing();
      recorded.push(...datagrams);
      for (const datagram of datagrams) peer.sendDatagram(datagram);
      await peer.heard();
      peer.process();
    }
    peer.close();
  }
  // Only what has a long header says what it is to whoever changes it.
  return recorded.filter((datagram) => datagram.length > 50);
}
