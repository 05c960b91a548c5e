import { encodePem } from './pem.js';

/** The roots that devices and operators trust, as they travel in `welcome`, `Collect` and `GetTrustBundle`. */
export interface TrustBundle {
  /** Lower-case DNS name, fixed at first start. */
  readonly trustDomain: string;
  /** Root certificates, DER: the signing one first, then by creation. */
  readonly roots: readonly Buffer[];
}

/** What a TLS door of this process serves with; replaced as a whole when the certificate is renewed. */
export interface QuicRuntimeTlsMaterial {
  /** PEM, leaf first, root included (tokens and links pin the root). */
  readonly chain: string;
  /** PKCS#8 PEM. Secret: never logged. */
  readonly key: string;
  /** PEM of the roots that device certificates are checked against. */
  readonly bundle: string;
  /** When the leaf ends, Unix milliseconds. */
  readonly expiresAt: number;
}

/** The roots as PEM, in their order; what `ca.pem` holds and TLS stacks verify against. */
export const trustBundlePem = (bundle: TrustBundle): string =>
  bundle.roots.map((root) => encodePem('CERTIFICATE', root)).join('');
