/**
 * A process that opens stores when its parent says so, to be killed or kept out. One JSON request a line on stdin, one JSON
 * answer a line on stdout.
 */
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { DataKeys } from '../../src/database/data-keys.js';
import type { Store } from '../../src/database/open-store.js';
import { openStore } from '../../src/database/open-store.js';
import { DomainError } from '../../src/errors/domain-error.js';
import { DataKeyChange } from '../../src/store/data-key-change.js';

export type StoreProcessRequest =
  /** Opens the store and keeps it open. Answers `{"storeId"}` or `{"refused": reason}`. */
  | { readonly op: 'open'; readonly dataDir: string }
  | { readonly op: 'close' }
  /** Makes one store after the other in `<dir>/0`, `<dir>/1` and so on. Answers `{"made", "storeId"}` for each. */
  | { readonly op: 'makeStores'; readonly dir: string }
  /**
   * Writes until it is killed, 8 units at a time, from number `first` on, with a pause after each. Answers `{"written": n}`
   * once unit n is acknowledged.
   */
  | { readonly op: 'writeForever'; readonly first?: number; readonly pauseMs?: number }
  /** Changes the master key (or the data key) again and again. Answers `{"changed": "rekey" | "data"}` after each. */
  | { readonly op: 'rekeyForever' }
  | { readonly op: 'rekeyDataForever' };

let store: Store | undefined;

const QUIET = { started: () => undefined, ended: () => undefined, failed: () => undefined };
const BY = { actor: 'operator/7zk4m9qx', source: 'local', reason: '' };

async function open(dataDir: string): Promise<Store> {
  return openStore({ dataDir, masterKey: { kind: 'default-key-file' } });
}

async function answer(request: StoreProcessRequest): Promise<void> {
  switch (request.op) {
    case 'open':
      store = await open(request.dataDir);
      say({ storeId: store.storeId.toString('hex') });
      return;
    case 'close':
      await store?.close();
      say({ closed: true });
      return;
    case 'makeStores':
      await makeStores(request.dir);
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
