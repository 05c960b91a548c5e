import { type KeyObject, verify } from 'node:crypto';

/**
 * Verifies a signature as `verify` of node:crypto does, on libuv's pool: the event loop serves others meanwhile, and another
 * core does the work where there is one. It is no less work. What was handed over is copied before this returns, so what
 * becomes of the buffers later does not matter.
 *
 * Not to be awaited inside a unit of work: other units wait behind it.
 */
export function verifyOnPool(
  digest: 'sha256' | null,
  message: Uint8Array,
  key: KeyObject,
  signature: Uint8Array,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    verify(digest, message, key, signature, (error, valid) => {
      if (error === null) resolve(valid);
      else reject(error);
    });
  });
}
