import { stoppedBy } from './client-error.js';

/**
 * What `work`, which knows no signal, comes to, or what `signal` says as soon as it aborts. What `work` brings after that
 * is handed to `discard`; how it fails then is of no interest any more.
 */
export async function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  discard: (late: T) => unknown = () => undefined,
): Promise<T> {
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => {
      reject(stoppedBy(signal));
      work.then(discard, () => undefined);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([aborted, work]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
