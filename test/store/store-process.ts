/**
 * A process that opens stores when its parent says so, to be killed or kept out. One JSON request a line on stdin, one JSON
 * answer a line on stdout.
 */
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { requireWhole, writeNewFile } from '../../src/cli/store/backup-file.js';
import { DataKeys } from '../../src/database/data-keys.js';
import type { Store } from '../../src/database/open-store.js';
import { openStore } from '../../src/database/open-store.js';
import { restoreStore } from '../../src/store/restore-store.js';
import { type BackupSummary, StoreBackups } from '../../src/store/store-backups.js';
import { systemClock } from '../../src/time/clock.js';
import { DomainError } from '../../src/errors/domain-error.js';
import { DataKeyChange } from '../../src/store/data-key-change.js';

export type StoreProcessRequest =
  /** Opens the store and keeps it open. Answers `{"storeId"}` or `{"refused": reason}`. */
  | { readonly op: 'open'; readonly dataDir: string }
  | { readonly op: 'close' }
  /** Makes one store after the other in `<dir>/0`, `<dir>/1` and so on. Answers `{"made", "storeId"}` for each. */
  | { readonly op: 'makeStores'; readonly dir: string }
  /** Backs up the open store into `<dir>/0.db`, `<dir>/1.db` and so on, while it writes. Answers `{"backup", "sequence"}` for each. */
  | { readonly op: 'backupForever'; readonly dir: string }
  /** Restores `backup` into `<dir>/0`, `<dir>/1` and so on, with `key` as the store key. Answers `{"restored", "epoch"}` for each. */
  | { readonly op: 'restoreForever'; readonly dir: string; readonly backup: string; readonly key: string }
  /**
   * Writes until it is killed, 8 units at a time, from number `first` on, with a pause after each. Answers `{"written": n}`
   * once unit n is acknowledged.
   */
  | { readonly op: 'writeForever'; readonly first?: number; readonly pauseMs?: number }
  /** Changes the master key (or the data key) again and again. Answers `{"changed": "rekey" | "data"}` after each. */
  | { readonly op: 'rekeyForever' }
  | { readonly op: 'rekeyDataForever' };

const ADMIN = { kind: 'operator', operatorId: 'a', role: 'admin', source: '127.0.0.1' } as const;

let store: Store | undefined;
let openedDir: string | undefined;

const QUIET = { started: () => undefined, ended: () => undefined, failed: () => undefined };
const BY = { actor: 'operator/7zk4m9qx', source: 'local', reason: '' };

async function open(dataDir: string): Promise<Store> {
  return openStore({ dataDir, masterKey: { kind: 'default-key-file' } });
}

async function answer(request: StoreProcessRequest): Promise<void> {
  switch (request.op) {
    case 'open':
      store = await open(request.dataDir);
      openedDir = request.dataDir;
      say({ storeId: store.storeId.toString('hex') });
      return;
    case 'close':
      await store?.close();
      say({ closed: true });
      return;
    case 'makeStores':
      await makeStores(request.dir);
      return;
    case 'backupForever':
      await Promise.all([backupForever(request.dir), writeForever(0)]);
      return;
    case 'restoreForever':
      await restoreForever(request);
      return;
    case 'writeForever':
      await Promise.all(
        Array.from({ length: 8 }, (_none, lane) =>
          writeForever((request.first ?? 0) + lane, request.pauseMs),
        ),
      );
      return;
    case 'rekeyForever':
      for (;;) {
        await opened().keyring.rekey({ prepared: false }, BY);
        say({ changed: 'rekey' });
      }
    case 'rekeyDataForever': {
      const { keyring, unitOfWork, committed } = opened();
      const change = new DataKeyChange(new DataKeys(keyring, unitOfWork, committed, randomBytes), QUIET);
      for (;;) {
        await (
          await change.start(BY)
        ).result;
        say({ changed: 'data' });
      }
    }
  }
}

function opened(): Store {
  if (store === undefined) throw new Error('open a store first');
  return store;
}

async function makeStores(dir: string): Promise<void> {
  for (let made = 0; ; made += 1) {
    const one = await open(join(dir, String(made)));
    say({ made, storeId: one.storeId.toString('hex') });
    await one.close();
  }
}

async function backupForever(dir: string): Promise<void> {
  const backups = new StoreBackups({ store: opened(), dataDir: openedDir ?? '' });
  for (let number = 0; ; number += 1) {
    let summary: BackupSummary | undefined;
    await writeNewFile(
      join(dir, `${number}.db`),
      async (handle) => {
        for await (const item of backups.make(ADMIN)) {
          if (item.kind === 'chunk') await handle.writeFile(item.bytes);
          if (item.kind === 'summary') summary = item.summary;
        }
      },
      async (written) => {
        if (summary === undefined) throw new Error('a backup without a summary');
        await requireWhole(written, summary.sha256, summary);
      },
    );
    say({ backup: number, sequence: summary?.sequence });
  }
}

async function restoreForever(request: { dir: string; backup: string; key: string }): Promise<void> {
  for (let number = 0; ; number += 1) {
    const dataDir = join(request.dir, String(number));
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await copyFile(request.key, join(dataDir, 'store.key'));
    const { epoch } = await restoreStore({
      dataDir,
      backup: request.backup,
      masterKey: { kind: 'default-key-file' },
      clock: systemClock,
    });
    say({ restored: number, epoch });
  }
}

async function writeForever(lane: number, pauseMs = 0): Promise<void> {
  const { unitOfWork } = opened();
  for (let number = lane; ; number += 8) {
    await unitOfWork.run(async (unit) => {
      await unit.secrets.write(`request/${number}-first`, Buffer.from(String(number)));
      unit.audit.append({ actor: 'system', source: 'local', action: 'test.written', subject: `n/${number}` });
      await unit.secrets.write(`request/${number}-second`, Buffer.from(String(number)));
    });
    say({ written: number });
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

function say(message: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as StoreProcessRequest;
  const answered = answer(request).catch((error: unknown) => {
    say({ refused: error instanceof DomainError ? error.reason : String(error) });
  });
  // What never ends goes on beside the next request.
  if (!request.op.endsWith('Forever')) await answered;
}
