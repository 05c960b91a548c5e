import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** From `dist-bench/bench`, where this runs. */
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Bounds of the QUIC door that would stand in the way of one client that does everything; no check is turned off. */
export const WIDE_QUIC_BOUNDS = {
  PALYRA_QUIC_MAX_CONNECTIONS: '4096',
  PALYRA_QUIC_MAX_CONNECTIONS_PER_DEVICE: '1000',
  PALYRA_QUIC_MAX_HANDSHAKES_PER_ADDRESS: '64',
  PALYRA_QUIC_MAX_STREAMS: '128',
  // More calls on one connection than anybody makes.
  PALYRA_QUIC_MAX_OVERHEAD: '1GiB',
};

/** The service as a process of its own on ports that the system chooses. Whoever started it stops it. */
export class BenchService {
  private constructor(
    private readonly child: ChildProcess,
    /** host:port each */
    readonly grpc: string,
    readonly quic: string,
  ) {}

  /** `nodeOptions` go before the script, for example `--cpu-prof`. */
  static async start(
    dataDir: string,
    settings: Readonly<Record<string, string>> = {},
    nodeOptions: readonly string[] = [],
  ): Promise<BenchService> {
    const child = spawn(process.execPath, [...nodeOptions, MAIN, 'serve'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        PATH: process.env['PATH'],
        PALYRA_DATA_DIR: dataDir,
        PALYRA_GRPC_LISTEN: '127.0.0.1:0',
        PALYRA_QUIC_LISTEN: '127.0.0.1:0',
        PALYRA_HTTP_LISTEN: '127.0.0.1:0',
        PALYRA_LOG_LEVEL: 'info',
        ...settings,
      },
    });
    try {
      const { grpc, quic } = await readyAt(child);
      return new BenchService(child, grpc, quic);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** As {@link cpuUsOf}. */
  cpuUs(): number {
    return cpuUsOf(this.child);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await ended;
  }
}

const US_PER_TICK = 10_000;

/** CPU time that a process has used so far, microseconds, in steps of 10 ms; 0 where the system is not Linux. */
export function cpuUsOf({ pid }: ChildProcess): number {
  if (process.platform !== 'linux') return 0;
  const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
  // proc(5): utime and stime are fields 14 and 15; the name, field 2, may hold spaces and ends with a bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * US_PER_TICK;
}

async function readyAt({ stdout }: ChildProcess): Promise<{ grpc: string; quic: string }> {
  if (stdout === null) throw new Error('the service has no stdout');
  for await (const line of createInterface({ input: stdout })) {
    const entry = JSON.parse(line) as { event?: string; grpc?: string; quic?: string };
    const { event, grpc, quic } = entry;
    if (event === 'ready' && grpc !== undefined && quic !== undefined) {
      // Its log must not stop it.
      stdout.resume();
      return { grpc, quic };
    }
  }
  throw new Error('the service ended before it was ready');
}
