import type { TrustBundle } from '../../generated/palyra/controlplane/v1/trust_bundle.js';
import { compareStoreTime } from '../store-time.js';
import { storeTimeOf } from './cluster-time.js';
import type { KnownCluster } from './device-records.js';

export interface BundleUpdate {
  readonly cluster: KnownCluster;
  /** The store is older than the device has seen it: somebody put an old one back (DESIGN §4). */
  readonly storeTimeFell: boolean;
}

/**
 * What the device knows of its cluster once a bundle came over verified TLS. One of another cluster, without roots, or
 * older than what is known takes the place of nothing: an old store may know roots that were given up since.
 */
export function withBundle(known: KnownCluster, bundle: TrustBundle | undefined): BundleUpdate {
  const unchanged = { cluster: known, storeTimeFell: false };
  if (bundle === undefined || bundle.trustDomain !== known.trustDomain || bundle.roots.length === 0) {
    return unchanged;
  }
  const seen = storeTimeOf(bundle);
  if (compareStoreTime(known, seen) === 'fell') return { ...unchanged, storeTimeFell: true };
  return { cluster: { ...known, roots: bundle.roots, ...seen }, storeTimeFell: false };
}
