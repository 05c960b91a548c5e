import type { TrustBundle } from '../ca/trust-bundle.js';
import type { StoreTime } from '../database/unit-of-work.js';
import { toBase64 } from '../encoding/base64.js';

/** The trust bundle in node RPC (docs/protocol.md, "QUIC"). */
export interface TrustBundleMessage {
  readonly trust_domain: string;
  /** Base64 of DER: the signing one first. */
  readonly roots: readonly string[];
  readonly epoch: number;
  readonly sequence: number;
}

export function trustBundleMessage(
  { trustDomain, roots }: TrustBundle,
  { epoch, sequence }: StoreTime,
): TrustBundleMessage {
  return { trust_domain: trustDomain, roots: roots.map(toBase64), epoch, sequence };
}
