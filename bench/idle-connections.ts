import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Peer } from './quinn-load.js';
import type { Ratio, Result } from './report.js';
import type { Server } from './side-by-side.js';

/** Connections that are opened and then left alone: what they take of memory, and what a call on all of them costs. */

const IDLE = 2_000;
/** Opened before anything counts: what a server needs once, for the first ones, is no cost of each. */
const WARM_UP = 200;
const HANDSHAKES_AT_ONCE = 8;
const PING_LIMIT_MS = 1_000;
/** What a server may use of a core and still count as at rest: a collection of garbage may fall into that second. */
const REST = 0.1;
/** CPU time is counted in steps of 10 ms, so less than this of a second is not seen. */
const LEAST_SHARE = 0.01;

interface Idle {
  readonly server: Server;
  readonly kibEach: number;
  readonly pingMs: number;
  /** Share of a core, in the second that begins a second after the last answer. */
  readonly restShare: number;
}

/** `peers`: quinn and the service, both with nothing behind them. */
export async function* compareIdle(peers: readonly Peer[]): AsyncGenerator<Result> {
  const found: Idle[] = [];
  for (const peer of peers) found.push(await idleOn(peer));
  const [quinn, service] = found;
  if (!quinn || !service) throw new Error('nothing was measured');
  const share = Math.max(service.restShare, LEAST_SHARE);
  const ratios = [
    ...found.flatMap(toldOf),
    { name: 'memory: quinn beside the service', value: quinn.kibEach / service.kibEach, goal: 1 / 1.5 },
    { name: 'a second beside the ping of all', value: PING_LIMIT_MS / service.pingMs, goal: 1 },
    { name: `${REST} of a core beside the share used at rest`, value: REST / share, goal: 1 },
  ];
  yield { name: `${IDLE} idle connections`, timings: [], ratios };
}

function toldOf({ server, kibEach, pingMs, restShare }: Idle): Ratio[] {
  return [
    { name: `${server.name}: resident memory for an idle connection, KiB`, value: kibEach },
    { name: `${server.name}: one call on each, all at once, ms`, value: pingMs },
    { name: `${server.name}: share of a core a second later`, value: restShare },
  ];
}

async function idleOn({ server, load }: Peer): Promise<Idle> {
  await load.run({ work: 'hold', calls: WARM_UP, atOnce: HANDSHAKES_AT_ONCE });
  await sleep(2_000);
  const before = residentKib(server);
  await load.run({ work: 'hold', calls: IDLE, atOnce: HANDSHAKES_AT_ONCE });
  await sleep(2_000);
  const kibEach = (residentKib(server) - before) / IDLE;
  const pingMs = (await load.run({ work: 'ping' })) / 1_000;
  await sleep(1_000);
  const cpu = server.cpuUs();
  await sleep(1_000);
  return { server, kibEach, pingMs, restShare: (server.cpuUs() - cpu) / 1e6 };
}

/** VmRSS of proc(5); 0 where the system is not Linux. */
function residentKib({ pid }: Server): number {
  if (process.platform !== 'linux') return 0;
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
}
