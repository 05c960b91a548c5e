import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat, unlink } from 'node:fs/promises';
import type { Store } from '../database/open-store.js';
import { createStagingFile } from '../database/staging-file.js';
import { mapStorageErrors } from '../database/storage-error.js';
import type { StoreCopy } from '../database/store-copy.js';
import { DomainError } from '../errors/domain-error.js';
import type { OperatorCaller } from '../operators/caller.js';
import { actorOf } from '../operators/caller.js';

/** Bytes of the file in one message. */
const CHUNK_BYTES = 256 * 1024;
/** When to try again while another backup runs, milliseconds. */
const RETRY_AFTER_MS = 5_000;

export interface BackupSummary extends StoreCopy {
  /** Bytes of the file. */
  readonly size: number;
  /** 32 bytes. */
  readonly sha256: Buffer;
}

/** What a backup is made of: progress, then the file in order, then what it was. */
export type BackupItem =
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  | { readonly kind: 'chunk'; readonly bytes: Buffer }
  | { readonly kind: 'summary'; readonly summary: BackupSummary };

export interface StoreBackupsParts {
  readonly store: Store;
  readonly dataDir: string;
}

/** Backups of the running store. One at a time, since each takes the place of the whole database beside it. */
export class StoreBackups {
  #running = false;

  constructor(private readonly parts: StoreBackupsParts) {}

  /**
   * Audits that `caller` takes a backup, copies the database while it is in use, proves that the copy opens, and hands it
   * out. The copy is removed however that ends. Throws `exhausted`, BACKUP_RUNNING, and what a full disk throws.
   */
  async *make(caller: OperatorCaller): AsyncGenerator<BackupItem, void, undefined> {
    if (this.#running) throw running();
    this.#running = true;
    try {
      yield* this.copied(caller);
    } finally {
      this.#running = false;
    }
  }

  private async *copied(caller: OperatorCaller): AsyncGenerator<BackupItem, void, undefined> {
    const { store, dataDir } = this.parts;
    await audit(store, caller);
    const path = await mapStorageErrors(() => createStagingFile(dataDir, 'backup'));
    try {
      const copy = yield* copying(store, path);
      yield* chunksOf(path, copy);
    } finally {
      await unlink(path);
    }
  }
}

/** Before the copy, so that nobody takes one unseen; and the backup tells of itself. */
async function audit(store: Store, caller: OperatorCaller): Promise<void> {
  await store.unitOfWork.run((unit) => {
    unit.audit.append({
      actor: actorOf(caller),
      source: caller.source,
      action: 'store.backed_up',
      subject: 'store',
    });
    return Promise.resolve();
  });
}

/** Tells how far the copy is whenever it is asked; ends the copy when nobody asks any more. */
async function* copying(store: Store, path: string): AsyncGenerator<BackupItem, StoreCopy, undefined> {
  let latest: BackupItem | undefined;
  let wake: () => void = () => undefined;
  let abandoned = false;
  const copy = store.copyTo(path, (done, total) => {
    if (abandoned) throw new Error('nobody takes this backup any more');
    latest = { kind: 'progress', done, total };
    wake();
  });
  const settled = copy.then(
    () => true,
    () => true,
  );
  try {
    for (;;) {
      const stirred = new Promise<boolean>((resolve) => {
        wake = () => {
          resolve(false);
        };
      });
      const over = latest === undefined && (await Promise.race([settled, stirred]));
      if (over) break;
      const item = latest;
      latest = undefined;
      if (item !== undefined) yield item;
    }
    return await copy;
  } finally {
    abandoned = true;
    await settled;
  }
}

async function* chunksOf(path: string, copy: StoreCopy): AsyncGenerator<BackupItem, void, undefined> {
  const { size } = await stat(path);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    const bytes = chunk as Buffer;
    hash.update(bytes);
    yield { kind: 'chunk', bytes };
  }
  yield { kind: 'summary', summary: { ...copy, size, sha256: hash.digest() } };
}

function running(): DomainError {
  return new DomainError(
    'exhausted',
    'BACKUP_RUNNING',
    'another backup of this store is being made; wait for its end',
    {
      retryAfterMs: RETRY_AFTER_MS,
    },
  );
}
