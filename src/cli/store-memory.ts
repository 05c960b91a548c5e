import { mkdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { compareStoreTime } from '../client/store-time.js';
import type { StoreTime } from '../database/unit-of-work.js';
import { systemErrorCode } from '../errors/system-error-code.js';
import { writeAtomically } from './atomic-output.js';
import type { CliContext } from './cli-context.js';
import { environmentText } from './environment-text.js';

const recordSchema = z.object({
  v: z.literal(1),
  epoch: z.int().nonnegative(),
  sequence: z.int().nonnegative(),
});

/**
 * The highest store time that commands of this user have seen, one file for each store. It only warns: a file that cannot
 * be read or written fails no command, but is told, once.
 */
export class StoreMemory {
  #complained = false;

  constructor(
    readonly path: string,
    private readonly complain: (text: string) => void,
  ) {}

  /** @param ca What the operator's token pins: it names the store before anything has answered. 32 bytes. */
  static of(context: CliContext, ca: Buffer, complain: (text: string) => void): StoreMemory {
    return new StoreMemory(join(stateDirectory(context), 'palyra', `${ca.toString('hex')}.json`), complain);
  }

  async read(): Promise<StoreTime | undefined> {
    try {
      const { epoch, sequence } = recordSchema.parse(JSON.parse(await readFile(this.path, 'utf8')));
      return { epoch, sequence };
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') this.#tell('cannot be read', error);
      return undefined;
    }
  }

  /** Keeps `seen` unless a later one is known, by now perhaps from another command. */
  async raise(seen: StoreTime): Promise<void> {
    const known = await this.read();
    if (known !== undefined && compareStoreTime(known, seen) !== 'rose') return;
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
      await writeAtomically(this.path, async (output) => {
        await output.write(`${JSON.stringify({ v: 1, epoch: seen.epoch, sequence: seen.sequence })}\n`);
      });
    } catch (error) {
      this.#tell('cannot be written', error);
    }
  }

  #tell(what: string, error: unknown): void {
    if (this.#complained) return;
    this.#complained = true;
    const why = systemErrorCode(error) ?? 'it is damaged';
    this.complain(
      `${this.path} ${what} (${why}): an old copy of the store that is put back may not be noticed here`,
    );
  }
}

/** XDG Base Directory Specification: a relative path counts as none. */
function stateDirectory(context: CliContext): string {
  const named = environmentText(context, 'XDG_STATE_HOME');
  return named !== undefined && isAbsolute(named) ? named : join(homedir(), '.local', 'state');
}
