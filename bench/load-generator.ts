import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/** Source of the load generator, Go; from `dist-bench/bench`, where this runs. */
const SOURCE = fileURLToPath(new URL('../../bench/renewals', import.meta.url));

/** Where Go is when it is not in the path. */
const USUAL_GO = '/usr/local/go/bin/go';

/** The Go command, or `undefined` when there is none. */
export function findGo(): string | undefined {
  const inPath = spawnSync('go', ['version'], { stdio: 'ignore' });
  if (inPath.status === 0) return 'go';
  return existsSync(USUAL_GO) ? USUAL_GO : undefined;
}

export interface LoadDevice {
  readonly id: string;
  /** Ed25519 seed of the identity key, base64. */
  readonly seed: string;
  /** SHA-256 of the newest certificate, base64. */
  readonly parent: string;
}

export interface LoadSetup {
  readonly address: string;
  /** PEM. */
  readonly roots: string;
  readonly serverName: string;
  readonly trustDomain: string;
  readonly callers: number;
  readonly devices: readonly LoadDevice[];
}

export type LoadMethod = 'check' | 'bundle' | 'renew';

export interface LoadAnswer {
  readonly calls: number;
  /** How long all of them took together, microseconds. */
  readonly micros: number;
}

/** Many gRPC callers in a process that is not Node (`bench/renewals/`). One order at a time. */
export class LoadGenerator {
  readonly #answers: AsyncIterator<string>;
  readonly #lines: Interface;

  private constructor(private readonly child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#lines = createInterface({ input: child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  /** Builds it into `directory` (Go may have to fetch its modules) and starts it. */
  static start(go: string, directory: string, setup: LoadSetup): LoadGenerator {
    const program = join(directory, 'load');
    const build = spawnSync(go, ['build', '-o', program, '.'], { cwd: SOURCE, stdio: 'inherit' });
    if (build.status !== 0) throw new Error('the load generator could not be built');
    const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.write(`${JSON.stringify(setup)}\n`);
    return new LoadGenerator(child);
  }

  async run(method: LoadMethod, calls: number): Promise<LoadAnswer> {
    this.child.stdin.write(`${JSON.stringify({ method, calls })}\n`);
    const line = await this.#answers.next();
    if (line.done === true) throw new Error('the load generator ended; what it said stands above');
    return JSON.parse(line.value) as LoadAnswer;
  }

  async stop(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.stdin.end();
    await ended;
    this.#lines.close();
  }
}
