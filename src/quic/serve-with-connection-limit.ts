import type { HostPort } from '../network/network-address.js';
import type { QuicEndpoint } from './quic-endpoint.js';

/** How many connections may be admitted at once when nothing else is set. */
export const DEFAULT_CONNECTION_LIMIT = 256;

/**
 * Opens the door on `at` for at most `limit` admitted connections at once: connection 257 is refused, and the 256 that are
 * in do not notice. Resolves with the address in use.
 */
export async function serveWithConnectionLimit(
  endpoint: QuicEndpoint,
  limit: number = DEFAULT_CONNECTION_LIMIT,
  at: HostPort = { host: '127.0.0.1', port: 0 },
): Promise<HostPort> {
  endpoint.limitConnections(limit);
  return endpoint.listen(at);
}
