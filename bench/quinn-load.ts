import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Server } from './side-by-side.js';

/** Source of the quinn server and client, Rust; from `dist-bench/bench`, where this runs. */
const SOURCE = fileURLToPath(new URL('../../bench/quinn', import.meta.url));

const LIMIT_MS = 120_000;

/** Builds `bench/quinn` (cargo may have to fetch its crates) and answers the program; `undefined` without cargo. */
export function buildQuinn(): string | undefined {
  if (spawnSync('cargo', ['--version'], { stdio: 'ignore' }).status !== 0) return undefined;
  const build = spawnSync('cargo', ['build', '--release', '--locked'], { cwd: SOURCE, stdio: 'inherit' });
  if (build.status !== 0) throw new Error('bench/quinn could not be built');
  return join(process.env['CARGO_TARGET_DIR'] ?? join(SOURCE, 'target'), 'release', 'quinn-bench');
}

export interface QuinnLoadSetup {
  /** host:port */
  readonly address: string;
  readonly serverName: string;
  /** PEM. */
  readonly roots: string;
  readonly identities: readonly { readonly chain: string; readonly key: string }[];
}

export type QuinnOrder =
  | { readonly work: 'handshakes' | 'calls' | 'hold'; readonly calls: number; readonly atOnce: number }
  | { readonly work: 'ping' };

/** The client of `bench/quinn`. One order at a time. */
export class QuinnLoad {
  readonly #lines: Interface;
  readonly #answers: AsyncIterator<string>;

  private constructor(private readonly child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#lines = createInterface({ input: child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  static start(program: string, setup: QuinnLoadSetup): QuinnLoad {
    const child = spawn(program, ['load'], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.write(`${JSON.stringify(setup)}\n`);
    return new QuinnLoad(child);
  }

  /** How long it took, microseconds. Throws when a call failed, and when there is no answer after two minutes. */
  async run(order: QuinnOrder): Promise<number> {
    this.child.stdin.write(`${JSON.stringify(order)}\n`);
    const giveUp = setTimeout(() => this.child.kill('SIGKILL'), LIMIT_MS);
    const line = await this.#answers.next();
    clearTimeout(giveUp);
    if (line.done === true) {
      throw new Error('the load generator ended (what it said stands above), or took more than two minutes');
    }
    return (JSON.parse(line.value) as { micros: number }).micros;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.stdin.end();
    await ended;
    this.#lines.close();
  }
}

/** A server and the client that calls it. */
export interface Peer {
  readonly server: Server;
  readonly load: QuinnLoad;
}
