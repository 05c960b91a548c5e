import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { QuicRuntimeTlsMaterial } from '../src/ca/trust-bundle.js';
import { requireEndpoint } from '../src/client/grpc/endpoint.js';
import { QuicClient, type QuicClientOptions } from '../src/quic/quic-client.js';
import { BENCH_TRUST_DOMAIN, makeStoreWithDevices } from './enrolled-devices.js';
import { ratioTo, timingOf, wallRatioTo, type RoundTime, type Timing } from './harness.js';
import type { Result } from './report.js';
import { BenchService, cpuUsOf } from './service.js';

/** Handshakes and `node.health` of the service, beside a bare echo on the same native binding. */

const NATIVE_ECHO = fileURLToPath(new URL('./native-echo.js', import.meta.url));
const ROUNDS = 9;
const TURN_MS = 600;
/** Before anything counts, so that the server's code is compiled. */
const WARM_UP_MS = 2_500;
const HANDSHAKES_AT_ONCE = 8;

/** Only what would stand in the way of one client that does everything; no check is turned off. */
const SERVICE_SETTINGS = {
  PALYRA_TRUST_DOMAIN: BENCH_TRUST_DOMAIN,
  PALYRA_QUIC_MAX_CONNECTIONS_PER_DEVICE: '200',
  PALYRA_QUIC_MAX_HANDSHAKES_PER_ADDRESS: '64',
  PALYRA_QUIC_MAX_STREAMS: '128',
};

interface Server {
  readonly name: string;
  /** host:port */
  readonly quic: string;
  cpuUs(): number;
  stop(): Promise<void>;
}

/** Does `calls` things; they are shared out by who runs it. */
type Work = (calls: number) => Promise<void>;

export async function benchQuic(): Promise<Result[]> {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-bench-'));
  try {
    return await measured(join(directory, 'data'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measured(dataDir: string): Promise<Result[]> {
  mkdirSync(dataDir, { mode: 0o700 });
  const { roots, devices, server } = await makeStoreWithDevices(dataDir, 1);
  const [device] = devices;
  if (device === undefined) throw new Error('the store has no device');
  const { identity } = device;
  const client = { roots, trustDomain: BENCH_TRUST_DOMAIN, identity };
  const echo = await startNativeEcho(server);
  try {
    const service = await startService(dataDir);
    try {
      return await compared([echo, service], client);
    } finally {
      await service.stop();
    }
  } finally {
    await echo.stop();
  }
}

async function startService(dataDir: string): Promise<Server> {
  const service = await BenchService.start(dataDir, SERVICE_SETTINGS);
  const { quic } = service;
  return { name: 'the service', quic, cpuUs: () => service.cpuUs(), stop: () => service.stop() };
}

async function startNativeEcho({ chain, key, bundle }: QuicRuntimeTlsMaterial): Promise<Server> {
  const child = spawn(process.execPath, [NATIVE_ECHO], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify({ roots: bundle, own: { chain, key } }));
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    const { quic } = JSON.parse(line) as { quic: string };
    return { name: 'limit: native echo', quic, cpuUs: () => cpuUsOf(child), stop: () => killed(child) };
  }
  throw new Error('the native echo ended before it was ready');
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

type ClientOptions = Pick<QuicClientOptions, 'roots' | 'trustDomain' | 'identity'>;

async function compared(servers: readonly Server[], options: ClientOptions): Promise<Result[]> {
  const connect = (server: Server): Promise<QuicClient> =>
    QuicClient.connect({ ...requireEndpoint(server.quic), ...options, keepAliveMs: 10_000 });
  const handshakes = (server: Server): Promise<Work> =>
    Promise.resolve(
      atOnce(HANDSHAKES_AT_ONCE, async () => {
        const client = await connect(server);
        requireHealth(await client.health());
        await client.close();
      }),
    );
  const health =
    (inFlight: number) =>
    async (server: Server): Promise<Work> => {
      const client = await connect(server);
      return atOnce(inFlight, async () => {
        requireHealth(await client.health());
      });
    };
  return [
    await sideBySide(`handshake, node.health, close; ${HANDSHAKES_AT_ONCE} at once`, servers, handshakes),
    await sideBySide('node.health, 1 in flight on one connection', servers, health(1)),
    await sideBySide('node.health, 64 in flight on one connection', servers, health(64)),
  ];
}

function requireHealth({ ok, kind }: { ok: boolean; kind: string }): void {
  if (!ok || kind !== 'health') throw new Error(`node.health was answered with ${kind}`);
}

function atOnce(callers: number, once: () => Promise<void>): Work {
  return async (calls) => {
    let left = calls;
    const caller = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await once();
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
  };
}

/** Both servers in each round, so that the ratio of a round compares neighbours. */
async function sideBySide(
  name: string,
  servers: readonly Server[],
  workOn: (server: Server) => Promise<Work>,
): Promise<Result> {
  const cases = [];
  for (const server of servers) {
    const work = await workOn(server);
    cases.push({ server, work, calls: await warmUp(server, work), rounds: [] as RoundTime[] });
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { server, work, calls, rounds } of cases) rounds.push(await turn(server, work, calls));
  }
  const [limit, timing] = cases.map(({ server, rounds }): Timing => timingOf(server.name, rounds));
  if (!limit || !timing) throw new Error('nothing was measured');
  const ratios = [
    { name: 'by CPU time of the server', value: ratioTo(limit, timing) },
    { name: 'by the clock (the client takes its part)', value: wallRatioTo(limit, timing) },
  ];
  return { name: `${name}; CPU is the server's`, timings: [limit, timing], ratios };
}

/** Runs a case until it is warm, and says how many calls make a turn. */
async function warmUp(server: Server, work: Work): Promise<number> {
  const start = performance.now();
  for (let calls = 64; ;) {
    const { wallUs } = await turn(server, work, calls);
    calls = Math.max(64, Math.round((TURN_MS * 1000) / wallUs));
    if (performance.now() - start >= WARM_UP_MS) return calls;
  }
}

async function turn(server: Server, work: Work, calls: number): Promise<RoundTime> {
  const cpu = server.cpuUs();
  const start = performance.now();
  await work(calls);
  const wallUs = ((performance.now() - start) * 1000) / calls;
  return { wallUs, cpuUs: (server.cpuUs() - cpu) / calls };
}
