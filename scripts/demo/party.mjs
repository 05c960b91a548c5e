// One process for each party: the service, the operator, the device. Each is the `palyra` command as a user runs it.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const COMMAND = 'dist/cli/main.js';

/** A `palyra` process: its lines of JSON as they come, and how it ends. */
export class Party {
  #lines = [];
  #waiting = [];
  #ended = false;

  constructor(args, { environment = {}, stdin } = {}) {
    this.child = spawn(process.execPath, [COMMAND, ...args], {
      env: { ...process.env, ...environment },
      stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    if (stdin !== undefined) this.child.stdin.end(`${stdin}\n`);
    this.stderr = '';
    this.child.stderr.on('data', (chunk) => (this.stderr += chunk));
    createInterface({ input: this.child.stdout })
      .on('line', (line) => this.#take(line))
      .on('close', () => this.#close());
    this.exit = new Promise((resolve) => this.child.once('close', resolve));
  }

  /** The next JSON line that `wanted` accepts; fails when the process ends without one. */
  async next(wanted = () => true) {
    for (;;) {
      const line = this.#lines.shift() ?? (await this.#oneMore());
      if (line === undefined) throw new Error(`the process ended too early: ${this.stderr.trim()}`);
      if (wanted(line)) return line;
    }
  }

  /** Sends SIGTERM and waits for the end. */
  async stop() {
    this.child.kill('SIGTERM');
    return this.exit;
  }

  #take(line) {
    if (!line.startsWith('{')) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#lines.push(JSON.parse(line));
    else waiting(JSON.parse(line));
  }

  #close() {
    this.#ended = true;
    for (const waiting of this.#waiting.splice(0)) waiting(undefined);
  }

  #oneMore() {
    if (this.#ended) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** Runs a command to its end; returns its JSON lines, its exit code and what it said on stderr. */
export async function run(args, options) {
  const party = new Party(args, options);
  const lines = [];
  try {
    for (;;) lines.push(await party.next());
  } catch {
    // It has ended: what it said is in `lines`, how it ended in `code`.
  }
  return { lines, code: await party.exit, stderr: party.stderr.trim() };
}
