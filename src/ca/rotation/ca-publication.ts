import type { CommittedReader } from '../../database/unit-of-work.js';
import type { CertificateAuthority } from '../certificate-authority.js';
import type { TrustBundle } from '../trust-bundle.js';

export interface CaPublicationParts {
  readonly authority: CertificateAuthority;
  readonly committed: CommittedReader;
  /** Brings the doors up to date; never rejects. */
  readonly certificates: { refresh(): Promise<void> };
  /** Open connections of devices. */
  readonly connections: { closeUntrusted(): number };
  /** Writes `ca.pem`. */
  readonly writeBundle: (bundle: TrustBundle) => Promise<void>;
  /** What failed after the change had been committed; it stands, and the rest is done all the same. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * What one process does when the CA has changed in the store, whoever changed it: takes the roots over, closes what is not
 * trusted any more, brings the doors and `ca.pem` up to date. One at a time; nothing is restarted, and no connection that
 * is still trusted is dropped.
 */
export class CaPublication {
  #last: Promise<unknown> = Promise.resolve();

  constructor(private readonly parts: CaPublicationParts) {}

  /** Returns how many connections were closed. Rejects when the roots cannot be read; those in force stay then. */
  refresh(): Promise<number> {
    const refreshed = this.#last.then(() => this.#refresh());
    this.#last = refreshed.catch(() => undefined);
    return refreshed;
  }

  async #refresh(): Promise<number> {
    const { authority, committed, certificates, connections } = this.parts;
    if (!(await authority.reload(committed.secrets))) return 0;
    // At once after the roots: who was let in by one that is gone goes before anything else takes time.
    const closed = connections.closeUntrusted();
    await certificates.refresh();
    await this.parts.writeBundle(authority.trustBundle()).catch(this.parts.onFailure);
    return closed;
  }
}
