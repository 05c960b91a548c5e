import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { runCli } from '../../src/cli/cli.js';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as JSON lines. */
  objects(): Record<string, unknown>[];
  /** Standard error as one JSON object. */
  error(): Record<string, unknown>;
}

export interface CliInput {
  readonly environment?: Readonly<Record<string, string>>;
  /** What stands in stdin, which is no terminal. */
  readonly stdin?: string;
  readonly onStdout?: (text: string) => void;
}

/** Runs one command line in this process, with streams and environment of its own. */
export async function runCommand(commandLine: readonly string[], input: CliInput = {}): Promise<CliResult> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const written = { stdout: '', stderr: '' };
  stdout.on('data', (chunk: Buffer) => {
    written.stdout += chunk.toString();
    input.onStdout?.(written.stdout);
  });
  stderr.on('data', (chunk: Buffer) => {
    written.stderr += chunk.toString();
  });
  // What commands remember is theirs alone, unless the test says where.
  const state = await mkdtemp(join(tmpdir(), 'palyra-state-'));
  const code = await runCli(commandLine, {
    stdin: Readable.from(input.stdin === undefined ? [] : [input.stdin]),
    stdout,
    stderr,
    environment: { XDG_STATE_HOME: state, ...input.environment },
  });
  await rm(state, { recursive: true });
  return {
    code,
    ...written,
    objects: () => linesOf(written.stdout).map((line) => JSON.parse(line) as Record<string, unknown>),
    error: () => JSON.parse(written.stderr) as Record<string, unknown>,
  };
}

export function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
