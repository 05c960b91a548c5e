import type { ServerWritableStream } from '@grpc/grpc-js';
import { Observable } from 'rxjs';

/** The part of a server stream that is needed; `ServerDuplexStream` has it too. */
export type WritableCall<T> = Pick<ServerWritableStream<unknown, T>, 'write' | 'on' | 'off' | 'cancelled'>;

/**
 * Answers a server stream from `items`, one by one, and waits whenever the caller does not read: Nest itself would
 * buffer without bound. Returned from a handler; when the caller goes away the iterator is told to `return()`.
 */
export function writeStream<T>(call: WritableCall<T>, items: AsyncIterable<T>): Observable<never> {
  return new Observable((subscriber) => {
    const iterator = items[Symbol.asyncIterator]();
    const stop = (): void => {
      void iterator.return?.().catch(() => undefined);
    };
    // An iterator that waits for news does not see that the caller has gone.
    call.on('cancelled', stop);
    copy(call, iterator).then(
      () => {
        subscriber.complete();
      },
      (error: unknown) => {
        subscriber.error(error);
      },
    );
    return () => {
      call.off('cancelled', stop);
      stop();
    };
  });
}

/** Fires when the caller has cancelled, its deadline has passed or the call is over. */
export function cancellationOf(
  call: Pick<ServerWritableStream<unknown, unknown>, 'on' | 'cancelled'>,
): AbortSignal {
  const controller = new AbortController();
  if (call.cancelled) {
    controller.abort();
  }
  call.on('cancelled', () => {
    controller.abort();
  });
  return controller.signal;
}

async function copy<T>(call: WritableCall<T>, iterator: AsyncIterator<T>): Promise<void> {
  while (!call.cancelled) {
    const next = await iterator.next();
    if (next.done === true || isGone(call)) {
      return;
    }
    if (!call.write(next.value)) {
      await drained(call);
    }
  }
}

/** Read again after an await, when it may have changed. */
function isGone(call: WritableCall<never>): boolean {
  return call.cancelled;
}

function drained(call: WritableCall<never>): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.off('drain', done);
      call.off('cancelled', done);
      resolve();
    };
    call.on('drain', done);
    call.on('cancelled', done);
    if (call.cancelled) {
      done();
    }
  });
}
