/**
 * A process that opens stores when its parent says so, to be killed or kept out. One JSON request a line on stdin, one JSON
 * answer a line on stdout.
 */
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import type { Store } from '../../src/database/open-store.js';
import { openStore } from '../../src/database/open-store.js';
import { DomainError } from '../../src/errors/domain-error.js';

export type StoreProcessRequest =
  /** Opens the store and keeps it open. Answers `{"storeId"}` or `{"refused": reason}`. */
  | { readonly op: 'open'; readonly dataDir: string }
  | { readonly op: 'close' }
  /** Makes one store after the other in `<dir>/0`, `<dir>/1` and so on. Answers `{"made", "storeId"}` for each. */
  | { readonly op: 'makeStores'; readonly dir: string }
  /** Writes until it is killed, 8 units at a time. Answers `{"written": n}` once unit n is acknowledged. */
  | { readonly op: 'writeForever' };

let store: Store | undefined;

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
      await Promise.all(Array.from({ length: 8 }, (_none, lane) => writeForever(lane)));
  }
}

async function makeStores(dir: string): Promise<void> {
  for (let made = 0; ; made += 1) {
    const one = await open(join(dir, String(made)));
    say({ made, storeId: one.storeId.toString('hex') });
    await one.close();
  }
}

async function writeForever(lane: number): Promise<void> {
  if (store === undefined) throw new Error('open a store first');
  for (let number = lane; ; number += 8) {
    await store.unitOfWork.run(async (unit) => {
      await unit.secrets.write(`request/${number}-first`, Buffer.from(String(number)));
      unit.audit.append({ actor: 'system', source: 'local', action: 'test.written', subject: `n/${number}` });
      await unit.secrets.write(`request/${number}-second`, Buffer.from(String(number)));
    });
    say({ written: number });
  }
}

function say(message: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  try {
    await answer(JSON.parse(line) as StoreProcessRequest);
  } catch (error) {
    say({ refused: error instanceof DomainError ? error.reason : String(error) });
  }
}
