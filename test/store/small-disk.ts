import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A file system of its own that is soon full. Only where the machine lets us mount one. */
export class SmallDisk {
  #mounted = true;

  private constructor(readonly path: string) {
    process.once('exit', () => {
      this.#unmount();
    });
  }

  static mount(bytes: number): SmallDisk | undefined {
    const path = mkdtempSync(join(tmpdir(), 'palyra-disk-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=700`, 'none', path], {
        stdio: 'ignore',
      });
      return new SmallDisk(path);
    } catch {
      rmSync(path, { recursive: true });
      return undefined;
    }
  }

  get ballast(): string {
    return join(this.path, 'ballast');
  }

  /** Takes all the room there is, or leaves so many bytes of it. */
  async fill(leave = 0): Promise<void> {
    const handle = await open(this.ballast, 'a');
    try {
      for (let size = 64 * 1024; size >= 512;) {
        try {
          await handle.appendFile(Buffer.alloc(size));
        } catch {
          size /= 2;
        }
      }
      const { size } = await handle.stat();
      if (leave > 0) await handle.truncate(size - leave);
    } finally {
      await handle.close();
    }
  }

  async free(): Promise<void> {
    await rm(this.ballast);
  }

  setWritable(writable: boolean): void {
    execFileSync('mount', ['-o', `remount,${writable ? 'rw' : 'ro'}`, this.path]);
  }

  remove(): void {
    this.#unmount();
    rmSync(this.path, { recursive: true });
  }

  #unmount(): void {
    if (!this.#mounted) return;
    this.#mounted = false;
    execFileSync('umount', ['-l', this.path]);
  }
}
