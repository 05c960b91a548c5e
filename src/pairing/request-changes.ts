import { EventEmitter } from 'node:events';

/** A seat of one who waits; a change that comes while nobody waits is remembered, so that none is missed. */
export interface RequestSubscription {
  /** Resolves at a change since the last call, when `signal` aborts, or after `milliseconds`; never rejects. */
  next(milliseconds: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Tells those who wait in `Collect` that a request may have changed. Sent after the commit; what changed is read anew. */
export class RequestChanges {
  readonly #emitter = new EventEmitter().setMaxListeners(0);

  announce(requestId: string): void {
    this.#emitter.emit(requestId);
  }

  /** Take the seat before reading the state, so that a change in between is not missed. */
  subscribe(requestId: string): RequestSubscription {
    let changed = false;
    let wake: (() => void) | undefined;
    const onChange = (): void => {
      changed = true;
      wake?.();
    };
    this.#emitter.on(requestId, onChange);
    return {
      close: () => {
        this.#emitter.off(requestId, onChange);
        wake?.();
      },
      next: async (milliseconds, signal) => {
        if (!changed && !signal.aborted) await sleepUntil(milliseconds, signal, (waker) => (wake = waker));
        changed = false;
      },
    };
  }
}

async function sleepUntil(
  milliseconds: number,
  signal: AbortSignal,
  arm: (wake: () => void) => void,
): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done, { once: true });
    arm(done);
  });
}
