import type { RandomBytes } from './random-bytes.js';

/** Bytes that are drawn at once. */
const POOL_BYTES = 4096;

/**
 * Hands out random bytes that were drawn many at a time, each of them once: a draw of OpenSSL costs more than what it draws.
 *
 * For values that become public, serial numbers for example, and for nothing else: what will be handed out lies in memory
 * beforehand, and a virtual machine that is set back to a snapshot hands it out again. A store refuses a serial number that
 * it has; a key or a salt that came twice nobody would notice.
 */
export function pooledRandomBytes(source: RandomBytes): RandomBytes {
  let pool = Buffer.alloc(0);
  let used = 0;
  return (size) => {
    if (size > POOL_BYTES) return source(size);
    if (used + size > pool.length) {
      pool = Buffer.from(source(POOL_BYTES));
      used = 0;
    }
    used += size;
    return Buffer.from(pool.subarray(used - size, used));
  };
}
