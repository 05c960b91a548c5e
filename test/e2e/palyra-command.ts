import { afterAll } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COMMAND, endWithThisProcess, systemEnvironment } from './service-process.js';

/** What commands remember of stores is this test file's alone. */
const state = mkdtempSync(join(tmpdir(), 'palyra-state-'));
afterAll(async () => {
  await rm(state, { recursive: true });
});

export interface CommandOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** What stands in stdin; nothing is written, and stdin stays open, when absent. */
  readonly stdin?: string;
}

export interface Finished {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One `palyra …` as a user starts it: a process of its own, with pipes in place of a terminal. */
export class PalyraCommand {
  stdout = '';
  stderr = '';
  readonly ended: Promise<Finished>;
  readonly #child: ChildProcess;
  readonly #waiting: (() => void)[] = [];

  constructor(commandLine: readonly string[], options: CommandOptions = {}) {
    const child = spawn(process.execPath, [COMMAND, ...commandLine], {
      env: { ...systemEnvironment(), XDG_STATE_HOME: state, ...options.environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    endWithThisProcess(child);
    this.#child = child;
    // A command that ends before it has read its stdin is no failure of the test.
    child.stdin.on('error', () => undefined);
    if (options.stdin !== undefined) child.stdin.end(options.stdin);
    child.stdout.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString('utf8');
      this.#wake();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString('utf8');
    });
    this.ended = once(child, 'close').then(([code]) => {
      this.#wake();
      return { code: code as number | null, stdout: this.stdout, stderr: this.stderr };
    });
  }

  /** The first line of `--json` output with this event; rejects when the command ends without it. */
  async event(name: string): Promise<Readonly<Record<string, unknown>>> {
    return this.told(name, () => objectsOf(this.stdout).find(({ event }) => event === name));
  }

  /** What `look` finds in the output, once it finds something; rejects when the command ends without `what`. */
  async told<T>(what: string, look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`palyra ended without ${what}:\n${this.stdout}${this.stderr}`);
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Runs one command to its end. */
export async function palyra(
  commandLine: readonly string[],
  options: CommandOptions = {},
): Promise<Finished> {
  return new PalyraCommand(commandLine, { stdin: '', ...options }).ended;
}

/** The complete lines of `--json` output. */
export function objectsOf(stdout: string): Readonly<Record<string, unknown>>[] {
  const lines = stdout.slice(0, stdout.lastIndexOf('\n') + 1).split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);
}
