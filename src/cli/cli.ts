import { type Command, CommanderError } from 'commander';
import { CliContext, type CliProcess } from './cli-context.js';
import { EXIT_CODE, type ExitCode } from './exit-code.js';
import { buildProgram } from './program.js';

/** Runs one command line (without node and script) and says how the process is to exit. Never throws. */
export async function runCli(commandLine: readonly string[], cliProcess: CliProcess): Promise<ExitCode> {
  if (commandLine[0] === 'serve') goOnWhenNobodyReads(cliProcess);
  else leaveQuietlyWhenNobodyReads(cliProcess);
  const program = buildProgram(new CliContext(cliProcess));
  configure(program, cliProcess);
  try {
    await program.parseAsync(commandLine, { from: 'user' });
    return EXIT_CODE.done;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT_CODE.done;
    // No command was named: the help that stands on stderr says it all.
    if (error instanceof CommanderError && error.code === 'commander.help') return EXIT_CODE.usage;
    const { reportError } = await import('./error-report.js');
    return reportError(error, cliProcess.stderr, commandLine.includes('--json'));
  }
}

/** Errors are thrown instead of printed and ended on, in every command alike. */
function configure(command: Command, cliProcess: CliProcess): void {
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => cliProcess.stdout.write(text),
    writeErr: (text) => cliProcess.stderr.write(text),
    outputError: () => undefined,
  });
  for (const child of command.commands) configure(child, cliProcess);
}

/** `palyra … | head` closes our stdout: that is no error. */
function leaveQuietlyWhenNobodyReads(cliProcess: CliProcess): void {
  cliProcess.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT_CODE.done);
    throw error;
  });
}

/** A service goes on when whoever read its log has gone (a log collector that restarts): clients need it, the log waits. */
function goOnWhenNobodyReads(cliProcess: CliProcess): void {
  cliProcess.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
