import { hash } from 'node:crypto';

/** The most that one CA's certificates are remembered: about 2 MB. */
const MAX_REMEMBERED = 16_384;

/**
 * Certificates whose signature by one CA has been verified, by the SHA-256 of their DER. A signature that was good once is
 * good for ever, so a device that comes back with the same certificate spares us the most expensive step of looking at
 * it; validity, purpose, name and the registry are looked at each time. Only what verified is remembered: a stranger can
 * put nothing in. The oldest are forgotten first.
 */
export class VerifiedSignatures {
  readonly #digests = new Set<string>();

  constructor(private readonly max = MAX_REMEMBERED) {}

  /** Whether the signature on the certificate (DER) is good; `verify` is called unless that is known already. */
  holds(certificate: Buffer, verify: () => boolean): boolean {
    const digest = hash('sha256', certificate, 'base64');
    if (this.#digests.has(digest)) return true;
    if (!verify()) return false;
    this.#remember(digest);
    return true;
  }

  #remember(digest: string): void {
    this.#digests.add(digest);
    if (this.#digests.size <= this.max) return;
    for (const oldest of this.#digests) {
      this.#digests.delete(oldest);
      return;
    }
  }
}
