/**
 * The QUIC door in a process of its own, so that what it holds and survives can be told from what its attackers do. One
 * JSON request a line on stdin, one JSON answer a line on stdout. Run with `--expose-gc`.
 */
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { CountingQuicObserver } from '../../src/quic/quic-observer.js';
import type { QuicSettings } from '../../src/quic/quic-settings.js';
import { TestCa } from '../ca/test-ca.js';
import { TestDoor } from './quic-door.js';

export type DoorProcessRequest =
  /** Opens the door and enrols so many devices. Answers `DoorFacts`. */
  | { readonly op: 'open'; readonly devices: number; readonly settings: Partial<QuicSettings> }
  /** Answers `DoorState`, after a collection that was forced. */
  | { readonly op: 'state' };

export interface DoorFacts {
  readonly port: number;
  readonly trustDomain: string;
  /** PEM. */
  readonly roots: string;
  readonly devices: readonly { readonly deviceId: string; readonly chain: string; readonly key: string }[];
}

export interface DoorState {
  readonly handshakes: number;
  readonly connections: number;
  /** Resident set, bytes. */
  readonly memory: number;
  /** How often each event was observed, for example `datagram_dropped.zero_rtt`. */
  readonly counts: Readonly<Record<string, number>>;
}

let door: TestDoor | undefined;
/** Keeps numbers alone; the observer of other tests keeps every event. */
const observer = new CountingQuicObserver();

async function open(devices: number, settings: Partial<QuicSettings>): Promise<DoorFacts> {
  const ca = await TestCa.create();
  door = await TestDoor.open(ca, { settings, parts: { observer } });
  const enrolled = [];
  for (let index = 0; index < devices; index += 1) {
    const { deviceId, chain, key } = await door.enrolled();
    enrolled.push({ deviceId, chain, key });
  }
  return { port: door.port, trustDomain: ca.trustDomain, roots: ca.rootPem, devices: enrolled };
}

async function state(opened: TestDoor): Promise<DoorState> {
  // Native connections are freed by finalisers, which run in turns of their own after a collection.
  for (let round = 0; round < 5; round += 1) {
    globalThis.gc?.();
    await sleep(20);
  }
  return {
    handshakes: opened.endpoint.handshakesInProgress,
    connections: opened.endpoint.admittedConnections,
    memory: process.memoryUsage.rss(),
    counts: observer.snapshot(),
  };
}

async function answer(request: DoorProcessRequest): Promise<unknown> {
  if (request.op === 'open') return open(request.devices, request.settings);
  if (door === undefined) throw new Error('the door is not open');
  return state(door);
}

function say(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

for await (const line of createInterface({ input: process.stdin })) {
  say(await answer(JSON.parse(line) as DoorProcessRequest));
}
process.exit(0);
