import type { Endpoint } from './endpoint.js';
import { verifiedTarget, type GrpcTarget } from './secure-target.js';
import type { ServerTrust } from './server-chain.js';

/** The channel of a device that holds the trust bundle: for `Collect` and `Renew`. */
export function openBundleChannel(endpoint: Endpoint, bundle: ServerTrust): GrpcTarget {
  return verifiedTarget(endpoint, bundle);
}
