import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { applied } from './mutation.mjs';

/** What a copy does without; `dist` above all, since a build is of the unbroken sources. */
const LEFT_OUT = new Set([
  'node_modules',
  'dist',
  'dist-bench',
  '.git',
  'coverage',
  'reports',
  'palyra-data',
]);

/** A copy of the work tree in which files can be broken. Dependencies are those of the original. */
export class Workspace {
  constructor(root) {
    this.path = mkdtempSync(join(tmpdir(), 'palyra-mutate-'));
    cpSync(root, this.path, {
      recursive: true,
      filter: (source) => !LEFT_OUT.has(relative(root, source)),
    });
    symlinkSync(join(root, 'node_modules'), join(this.path, 'node_modules'), 'dir');
  }

  read(file) {
    return readFileSync(join(this.path, file), 'utf8');
  }

  /** Runs `work` with the mutation in place, and takes it back. `undefined`, without running, when it is stale. */
  async whileBroken(mutation, work) {
    const original = this.read(mutation.file);
    const broken = applied(mutation, original);
    if (broken === undefined) return undefined;
    writeFileSync(join(this.path, mutation.file), broken);
    try {
      return await work();
    } finally {
      writeFileSync(join(this.path, mutation.file), original);
    }
  }

  remove() {
    rmSync(this.path, { recursive: true, force: true });
  }
}
