import { spawnSync } from 'node:child_process';
import { DomainError } from '../errors/domain-error.js';
import type { FilePrivacy } from './private-file.js';
import { foreignPrincipals, mendingCommand, parseAccessList } from './windows-access.js';

/** Runs a program of Windows without a shell and returns what it printed. Throws if it cannot be run or fails. */
export type RunProgram = (program: 'icacls' | 'whoami', args: readonly string[]) => string;

/**
 * Windows has no modes: `icacls` is asked for the access list, by the path of the file. Whatever does not read as an
 * English list is refused (`STORE_FILE_ACCESS_UNKNOWN`). Not tried on Windows; tested on sample outputs.
 */
export function createWindowsFilePrivacy(run: RunProgram = runSystemProgram): FilePrivacy {
  let user: string | undefined;
  return {
    requirePrivate(path, stats) {
      user ??= currentUser(run);
      const list = parseAccessList(path, ask(run, 'icacls', [path]));
      if (list === undefined)
        throw unknown(`the answer of icacls about ${path} is not one that is understood`);
      const foreign = foreignPrincipals(list, user);
      if (foreign.length === 0) return;
      const command = mendingCommand(path, { user, foreign, isDirectory: stats.isDirectory() });
      throw new DomainError(
        'wrong_state',
        'STORE_FILE_EXPOSED',
        `Others (${foreign.join(', ')}) can get at ${path}: run \`${command}\`, and if they may have read it, change what it protects.`,
      );
    },
  };
}

function currentUser(run: RunProgram): string {
  const name = ask(run, 'whoami', []).trim();
  if (!/^[^\\\r\n"]+\\[^\\\r\n"]+$/.test(name))
    throw unknown('the answer of whoami is not one that is understood');
  return name;
}

function ask(run: RunProgram, program: 'icacls' | 'whoami', args: readonly string[]): string {
  try {
    return run(program, args);
  } catch (cause) {
    throw unknown(`${program} cannot be run, or failed`, cause);
  }
}

function unknown(what: string, cause?: unknown): DomainError {
  return new DomainError(
    'unavailable',
    'STORE_FILE_ACCESS_UNKNOWN',
    `It cannot be told who may get at the files of secrets: ${what}. It takes icacls and whoami of an English Windows.`,
    { cause },
  );
}

/** Long enough for a machine that is busy, milliseconds. */
const TIMEOUT_MS = 10_000;

const runSystemProgram: RunProgram = (program, args) => {
  // By its full name: for a bare one Windows looks into the working directory first.
  const { error, status, stdout } = spawnSync(`C:\\Windows\\System32\\${program}.exe`, args, {
    encoding: 'utf8',
    shell: false,
    timeout: TIMEOUT_MS,
    windowsHide: true,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ended with ${status ?? 'a signal'}`);
  return stdout;
};
