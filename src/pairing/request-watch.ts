import type { AuditEntry } from '../audit/audit-entry.js';
import { News } from '../database/news.js';
import type { StoreTime } from '../database/unit-of-work.js';
import { DomainError, wrongState } from '../errors/domain-error.js';
import type { PairingQueue, QueuedRequest } from './pairing-queue.js';

/** Changes that are read at a time. */
const BATCH = 200;
/** How often a watch without news asks whether its caller may still look, milliseconds. */
const RECHECK_MS = 10_000;

export interface RequestWatchParts {
  readonly queue: PairingQueue;
  /** Audit entries behind `after`, ascending: the change log. */
  readonly entries: (options: { readonly after: number; readonly limit: number }) => Promise<AuditEntry[]>;
  readonly storeTime: () => StoreTime;
  /** Calls the listener after each commit; returns what ends that. */
  readonly onCommit: (listener: () => void) => () => void;
}

export interface WatchOptions {
  /** Sequence behind which to begin; the pending requests and then what changes, when absent. */
  readonly after?: number;
  /** Whether the caller's credential still lets it look; asked before anything is told, and now and then. */
  readonly mayLook: () => Promise<boolean>;
  readonly signal: AbortSignal;
}

export interface RequestChange {
  /** Everything up to here was told once this was. */
  readonly sequence: number;
  /** Absent once, after the pending ones. */
  readonly request: QueuedRequest | undefined;
}

/**
 * Follows the change log and tells each request that changed, as it is now. It reads on only when the one before was
 * taken, and keeps a place in the log and nothing else, so that a slow reader costs no memory.
 */
export class RequestWatch {
  constructor(private readonly parts: RequestWatchParts) {}

  /** Throws `wrong_state` with SEQUENCE_AHEAD or SEQUENCE_GONE, and `unauthenticated` once the caller may not look. */
  async *watch({ after, mayLook, signal }: WatchOptions): AsyncGenerator<RequestChange> {
    const news = new News(this.parts.onCommit, signal);
    try {
      let at = this.parts.storeTime().sequence;
      if (after === undefined) {
        for await (const request of this.pending()) {
          await require(mayLook);
          yield { sequence: 0, request };
        }
        await require(mayLook);
        yield { sequence: at, request: undefined };
      } else {
        await this.requireReachable(after, at);
        at = after;
      }
      while (!signal.aborted) {
        await require(mayLook);
        const entries = await this.parts.entries({ after: at, limit: BATCH });
        for (const { sequence, requestId } of lastChanges(entries)) {
          const request = await this.parts.queue.find(requestId);
          await require(mayLook);
          if (request !== undefined) yield { sequence, request };
        }
        at = entries.at(-1)?.sequence ?? at;
        if (entries.length < BATCH) await news.next(RECHECK_MS);
      }
    } finally {
      news.close();
    }
  }

  private async *pending(): AsyncGenerator<QueuedRequest> {
    let before: string | undefined;
    do {
      const page = await this.parts.queue.list({
        state: 'pending_approval',
        limit: BATCH,
        ...(before === undefined ? {} : { before }),
      });
      yield* page.requests;
      before = page.next;
    } while (before !== undefined);
  }

  private async requireReachable(after: number, now: number): Promise<void> {
    if (after > now) {
      throw wrongState(
        'SEQUENCE_AHEAD',
        `the store is at ${now} and was further before: it was set back. Watch from the beginning`,
      );
    }
    const [next] = await this.parts.entries({ after, limit: 1 });
    if (next !== undefined && next.sequence !== after + 1) {
      throw wrongState('SEQUENCE_GONE', 'the log does not reach back to there; watch from the beginning');
    }
  }
}

async function require(mayLook: () => Promise<boolean>): Promise<void> {
  if (await mayLook()) return;
  throw new DomainError(
    'unauthenticated',
    'CREDENTIALS_ENDED',
    'the credential of this watch is not valid any more',
  );
}

/** The last change of each request among the entries, in order: those before it show the same request. */
function lastChanges(entries: readonly AuditEntry[]): { sequence: number; requestId: string }[] {
  const last = new Map<string, number>();
  for (const { action, details, sequence } of entries) {
    if (!action.startsWith('pairing.')) continue;
    const { request_id: requestId } = JSON.parse(details) as { readonly request_id?: unknown };
    if (typeof requestId !== 'string') continue;
    last.delete(requestId);
    last.set(requestId, sequence);
  }
  return [...last].map(([requestId, sequence]) => ({ requestId, sequence }));
}
