import { z } from 'zod';
import { fromBase64 } from '../../encoding/base64.js';
import type { TrustBundle } from '../../generated/palyra/controlplane/v1/trust_bundle.js';

/** Base64 with padding, as bytes. */
export const bytes = z.string().transform((text, context) => {
  const decoded = fromBase64(text);
  if (decoded !== undefined) return decoded;
  context.addIssue({ code: 'custom', message: 'not base64' });
  return z.NEVER;
});

export const count = z.int().nonnegative();

/** The trust bundle in node RPC (docs/protocol.md, "QUIC"); fields that a newer server adds are let pass. */
export const bundleSchema = z
  .object({ trust_domain: z.string(), roots: z.array(bytes), epoch: count, sequence: count })
  .transform(({ trust_domain: trustDomain, roots, epoch, sequence }): TrustBundle => ({
    trustDomain,
    roots,
    epoch: BigInt(epoch),
    sequence: BigInt(sequence),
  }));
