import { ClientError } from '../client-error.js';

/** For commands that need a paired device. */
export function notPaired(directory: string): ClientError {
  return new ClientError('usage', 'NOT_PAIRED', `there is no certificate in ${directory}`, {
    advice: 'pair this device first: palyra pairing pair --endpoint host:port',
  });
}
