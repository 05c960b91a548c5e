import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { QuicRuntimeTlsMaterial } from '../src/ca/trust-bundle.js';
import { timingOf, type RoundTime, type Timing } from './harness.js';
import { cpuUsOf } from './service.js';

const NATIVE_ECHO = fileURLToPath(new URL('./native-echo.js', import.meta.url));
const ROUNDS = 9;
const TURN_MS = 600;
/** Before anything counts, so that the server's code is compiled. */
const WARM_UP_MS = 2_500;

export interface Server {
  readonly name: string;
  /** host:port */
  readonly quic: string;
  readonly pid: number | undefined;
  cpuUs(): number;
  stop(): Promise<void>;
}

/** Does `calls` things; they are shared out by who runs it. */
export type Work = (calls: number) => Promise<void>;

export function startNativeEcho({ chain, key, bundle }: QuicRuntimeTlsMaterial): Promise<Server> {
  const setup = { roots: bundle, own: { chain, key } };
  return startServer('limit: native echo', [process.execPath, NATIVE_ECHO], setup);
}

/** Starts a server that takes its setup as one line of JSON on stdin, and says where it listens by one on stdout. */
export async function startServer(
  name: string,
  [program, ...argv]: readonly [string, ...string[]],
  setup: object,
): Promise<Server> {
  const child = spawn(program, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(`${JSON.stringify(setup)}\n`);
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    const { quic } = JSON.parse(line) as { quic: string };
    return { name, quic, pid: child.pid, cpuUs: () => cpuUsOf(child), stop: () => killed(child) };
  }
  throw new Error('the server ended before it was ready');
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** All servers in each round, so that the ratio of a round compares neighbours. */
export async function sideBySide(
  servers: readonly Server[],
  workOn: (server: Server) => Promise<Work>,
): Promise<Timing[]> {
  const cases = [];
  for (const server of servers) {
    const work = await workOn(server);
    cases.push({ server, work, calls: await warmUp(server, work), rounds: [] as RoundTime[] });
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { server, work, calls, rounds } of cases) rounds.push(await turn(server, work, calls));
  }
  return cases.map(({ server, rounds }) => timingOf(server.name, rounds));
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
