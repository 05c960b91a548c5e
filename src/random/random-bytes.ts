import { randomBytes as opensslRandomBytes } from 'node:crypto';

/** Where randomness comes from: `size` bytes fit for keys. Never returns fewer; throws when the system has none. */
export type RandomBytes = (size: number) => Buffer;

export const systemRandomBytes: RandomBytes = (size) => opensslRandomBytes(size);
