import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../secret-store/atomic-file.js';

const BUFFER_CHARACTERS = 64 * 1024;

/**
 * A file (mode 0600) in the making: under its own name stands the old one, or none, until {@link commit}. It is written
 * beside it under a name of its own, so that two processes do not mix.
 */
export class AtomicOutput {
  #buffered = '';
  #open = true;

  private constructor(
    private readonly path: string,
    private readonly temporary: string,
    private readonly handle: FileHandle,
  ) {}

  static async create(path: string): Promise<AtomicOutput> {
    const temporary = `${path}.${randomBytes(6).toString('hex')}.new`;
    return new AtomicOutput(path, temporary, await open(temporary, 'wx', 0o600));
  }

  async write(text: string): Promise<void> {
    this.#buffered += text;
    if (this.#buffered.length >= BUFFER_CHARACTERS) await this.#flush();
  }

  /** Puts the file in its place, durably. */
  async commit(): Promise<void> {
    await this.#flush();
    await this.handle.sync();
    await this.#close();
    await rename(this.temporary, this.path);
    await syncDirectory(dirname(this.path));
  }

  /** Leaves nothing behind. */
  async discard(): Promise<void> {
    await this.#close();
    await unlink(this.temporary).catch(() => undefined);
  }

  async #flush(): Promise<void> {
    const text = this.#buffered;
    this.#buffered = '';
    await this.handle.writeFile(text);
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.handle.close();
  }
}

/** Writes a file that is wholly there or not at all: what `fill` throws leaves the old one, or none. */
export async function writeAtomically(
  path: string,
  fill: (output: AtomicOutput) => Promise<void>,
): Promise<void> {
  const output = await AtomicOutput.create(path);
  try {
    await fill(output);
    await output.commit();
  } catch (error) {
    await output.discard();
    throw error;
  }
}
