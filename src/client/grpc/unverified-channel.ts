import type { Endpoint } from './endpoint.js';
import { unverifiedTarget, type GrpcTarget } from './secure-target.js';

/**
 * The channel for `NodeService.Pair` with a PIN, and for nothing else: TLS 1.3 with a server that the device cannot
 * verify yet. The device sends nothing secret before confirmV showed that the server knows the code, and takes nothing
 * from TLS but privacy (DESIGN §5).
 */
export function openUnverifiedChannel(endpoint: Endpoint): GrpcTarget {
  return unverifiedTarget(endpoint);
}
