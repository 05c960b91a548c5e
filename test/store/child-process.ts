import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { StoreProcessRequest } from './store-process.js';

const LOADER = new URL('./typescript-loader.mjs', import.meta.url).href;
const SCRIPT = fileURLToPath(new URL('./store-process.ts', import.meta.url));

export type Answer = Readonly<Record<string, unknown>>;

/** The parent's side of `store-process.ts`. */
export class StoreProcess {
  private constructor(
    private readonly child: ChildProcessWithoutNullStreams,
    private readonly answers: AsyncIterator<string>,
    private readonly errors: string[],
  ) {}

  static async start(): Promise<StoreProcess> {
    const child = spawn(process.execPath, ['--import', LOADER, SCRIPT], {
      env: { PATH: process.env['PATH'] },
    });
    const errors: string[] = [];
    child.stderr.on('data', (text: Buffer) => errors.push(text.toString()));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const started = new StoreProcess(child, lines, errors);
    await started.next();
    return started;
  }

  async ask(request: StoreProcessRequest): Promise<Answer> {
    this.tell(request);
    return this.next();
  }

  tell(request: StoreProcessRequest): void {
    this.child.stdin.write(`${JSON.stringify(request)}\n`);
  }

  /** The next answer. Throws with what the process wrote to stderr if it ended. */
  async next(): Promise<Answer> {
    const line = await this.answers.next();
    if (line.done === true) throw new Error(`the process ended: ${this.errors.join('')}`);
    return JSON.parse(line.value) as Answer;
  }

  /** Kills it with SIGKILL and gives the answers that it had written and nobody had read. */
  async kill(): Promise<Answer[]> {
    const exit =
      this.child.exitCode === null && this.child.signalCode === null ? once(this.child, 'exit') : undefined;
    this.child.kill('SIGKILL');
    await exit;
    const rest: Answer[] = [];
    for (let line = await this.answers.next(); line.done !== true; line = await this.answers.next()) {
      if (line.value.endsWith('}')) rest.push(JSON.parse(line.value) as Answer);
    }
    return rest;
  }
}
