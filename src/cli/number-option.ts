import { ClientError } from '../client/client-error.js';

/** A whole number from 0 on. Throws a usage error. */
export function readCount(option: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new ClientError('usage', 'COUNT', `${option} ${JSON.stringify(text)} is no whole number`, {
    advice: `write ${option} with a number, for example ${option} 10`,
  });
}
