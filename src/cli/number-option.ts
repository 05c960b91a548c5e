import { ClientError } from '../client/client-error.js';

/** A whole number from `least` on. Throws a usage error. */
export function readCount(option: string, text: string, least = 0): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (count >= least) return count;
  const what = Number.isNaN(count) ? 'is no whole number' : `is too small: it is ${least} at least`;
  throw new ClientError('usage', 'COUNT', `${option} ${JSON.stringify(text)} ${what}`, {
    advice: `write ${option} with a number, for example ${option} 10`,
  });
}
