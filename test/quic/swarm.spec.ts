import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import quiche from '@matrixai/quic/native/quiche.js';
import { requestFrame } from '../../src/quic/node-rpc-message.js';
import { pick, type PseudoRandom, pseudoRandom } from '../pseudo-random.js';
import { announcedSeed, rounds, timeLimit } from '../scale.js';
import { AttackedDoor } from './attacked-door.js';
import type { DoorState } from './door-process.js';
import type { RawPeer } from './raw-peer.js';

const DEVICES = 8;
const MIB = 1024 * 1024;
const NO_REASON = new Uint8Array(0);

/** How far a client goes before it is never heard of again, or says that it goes. */
const STEPS = ['initial', 'retry', 'flight', 'established', 'request', 'answer'] as const;

describe('a swarm of clients that abort or stall anywhere', () => {
  let door: AttackedDoor;

  beforeAll(async () => {
    const settings = {
      handshakeTimeoutMs: 200,
      idleTimeoutMs: 1_000,
      maxConnectionsPerDevice: 64,
      drainTimeoutMs: 100,
    };
    door = await AttackedDoor.open(DEVICES, settings);
  });

  afterAll(() => {
    expect(door.errors).toBe('');
    door.close();
  });

  const count = rounds(500, 10_000);

  it(
    `frees every slot and all memory after ${String(count)} of them`,
    async () => {
      const random = pseudoRandom(announcedSeed('swarm', count));
      // What the process keeps for ever (compiled code, pools) has come to be after a first part of them.
      await swarm(door, count / 2, random);
      const before = await door.quietState();
      await swarm(door, count / 2, random);
      const after = await door.quietState();
      expectFlat(before, after);
      expect(after.counts['failure']).toBeUndefined();
      expect(after.counts['admitted']).toBeGreaterThan(count / 20);
      expect(after.counts['handshake_timed_out']).toBeGreaterThan(0);
      const client = await door.client(0);
      expect((await client.health()).ok).toBe(true);
      await client.close();
    },
    timeLimit(60_000, 20),
  );
});

describe('devices that send data, FIN, RESET and STOP_SENDING in every order', () => {
  const connections = rounds(50, 500);
  let door: AttackedDoor;

  beforeAll(async () => {
    door = await AttackedDoor.open(2, { maxConnectionsPerDevice: 64, idleTimeoutMs: 5_000 });
  });

  afterAll(() => {
    expect(door.errors).toBe('');
    door.close();
  });

  it(
    `are ${String(connections)} connections, and node.health answers all along`,
    async () => {
      const random = pseudoRandom(announcedSeed('stream orders', connections));
      const client = await door.client(0);
      for (let index = 0; index < connections; index += 1) {
        const peer = await door.peer({ device: 1, from: loopbackAddress(random) });
        await peer.runUntil(() => peer.native.isEstablished());
        await misuse(peer, random);
        expect((await client.health()).ok).toBe(true);
        if (random(2) === 0) peer.native.close(true, 0, NO_REASON);
        peer.flush();
        peer.close();
      }
      await client.close();
      const { counts } = await door.quietState(15_000);
      expect(counts['failure']).toBeUndefined();
    },
    timeLimit(60_000, 10),
  );
});

/** RSS within 10 % or 16 MiB. */
function expectFlat(before: DoorState, after: DoorState): void {
  expect(after.memory - before.memory).toBeLessThan(Math.max(16 * MIB, before.memory / 10));
}

async function swarm(door: AttackedDoor, count: number, random: PseudoRandom): Promise<void> {
  const atOnce = 8;
  for (let begun = 0; begun < count; begun += atOnce) {
    await Promise.all(Array.from({ length: Math.min(atOnce, count - begun) }, () => comeAndGo(door, random)));
  }
}

async function comeAndGo(door: AttackedDoor, random: PseudoRandom): Promise<void> {
  const device = random(4) === 0 ? {} : { device: random(DEVICES) };
  const peer = await door.peer({ ...device, from: loopbackAddress(random) });
  await goTo(peer, pick(random, STEPS));
  if (random(2) === 0) {
    try {
      peer.native.close(random(2) === 0, random(20), NO_REASON);
    } catch {
      // Closed by the door already.
    }
    peer.flush();
  }
  peer.close();
}

async function goTo(peer: RawPeer, step: (typeof STEPS)[number]): Promise<void> {
  peer.flush();
  if (step === 'initial' || !(await peer.heard())) return;
  peer.process();
  if (step === 'retry') return;
  peer.flush();
  if (step === 'flight' || !(await peer.heard())) return;
  await peer.runUntil(() => peer.native.isEstablished() || peer.native.isClosed());
  if (step === 'established' || peer.native.isClosed()) return;
  try {
    peer.native.streamSend(0, requestFrame('node.health', {}), true);
  } catch {
    return;
  }
  if (step === 'request') {
    peer.flush();
    return;
  }
  await peer.runUntil(() => peer.native.isReadable() || peer.native.isDraining() || peer.native.isClosed());
}

/** A few streams, each with its own order of what a stream can have done to it. */
async function misuse(peer: RawPeer, random: PseudoRandom): Promise<void> {
  const { native } = peer;
  const request = requestFrame('test.echo', { params: { text: 'x'.repeat(3_000) } });
  const steps: readonly ((id: number) => unknown)[] = [
    (id) => native.streamSend(id, request, false),
    (id) => native.streamSend(id, request.subarray(0, 100), false),
    (id) => native.streamSend(id, NO_REASON, true),
    (id) => native.streamShutdown(id, quiche.Shutdown.Write, 7),
    (id) => native.streamShutdown(id, quiche.Shutdown.Read, 7),
  ];
  for (let id = 0; id < 40; id += 4) {
    for (const step of shuffled(steps, random)) {
      try {
        step(id);
      } catch {
        // Not every order makes sense to quiche; what it can send is sent.
      }
      if (random(3) > 0) peer.flush();
    }
    await new Promise(setImmediate);
    peer.process();
  }
  peer.flush();
}

function shuffled<T>(items: readonly T[], random: PseudoRandom): T[] {
  const left = [...items];
  return items.flatMap(() => left.splice(random(left.length), 1));
}

const loopbackAddress = (random: PseudoRandom): string =>
  `127.${String(1 + random(200))}.${String(random(250))}.${String(1 + random(250))}`;
