import type { Writable } from 'node:stream';
import { interrupted } from '../client/client-error.js';
import { systemClock, type Clock } from '../time/clock.js';
import { Output } from './terminal/output.js';
import type { TerminalInput } from './terminal/secret-prompt.js';

/** What the process gives to the command. */
export interface CliProcess {
  readonly stdin: TerminalInput;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What every command gets. */
export class CliContext {
  readonly clock: Clock = systemClock;
  #interruption: AbortSignal | undefined;

  constructor(readonly process: CliProcess) {}

  get environment(): CliProcess['environment'] {
    return this.process.environment;
  }

  output(options: { readonly json?: boolean }): Output {
    return new Output(this.process.stdout, this.process.stderr, options.json === true);
  }

  /**
   * Aborts at Ctrl-C, so that a command can end in order; a second Ctrl-C ends the process at once. Commands that never
   * ask for it are ended by the first.
   */
  interruption(): AbortSignal {
    if (this.#interruption !== undefined) return this.#interruption;
    const controller = new AbortController();
    process.once('SIGINT', () => {
      controller.abort(interrupted());
    });
    this.#interruption = controller.signal;
    return controller.signal;
  }
}
