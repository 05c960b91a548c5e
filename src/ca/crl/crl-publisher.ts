import { notFound } from '../../errors/domain-error.js';
import type { Issuer } from '../issuer.js';
import { IssuerCrl, type CrlParts, type PublishedCrl } from './issuer-crl.js';

export interface CrlPublisherParts extends CrlParts {
  /** The CA keys that this store has now. */
  readonly issuers: () => readonly Issuer[];
}

/** The revocation lists of all CA keys: one each, made when first asked for. */
export class CrlPublisher {
  readonly #lists = new Map<string, IssuerCrl>();

  constructor(private readonly parts: CrlPublisherParts) {}

  /** Makes the first lists, so that nobody has to wait for them. What fails is told, and tried again when somebody asks. */
  async warmUp(): Promise<void> {
    for (const { keyId } of this.parts.issuers()) await this.current(keyId).catch(this.parts.onFailure);
  }

  /** @param keyId Of the CA key, 40 lower-case hex digits. Throws `not_found`, and what `IssuerCrl.current` throws. */
  async current(keyId: string): Promise<PublishedCrl> {
    return this.#list(this.issuer(keyId)).current();
  }

  /** Throws `not_found` CA_NOT_FOUND. */
  issuer(keyId: string): Issuer {
    const issuer = this.parts.issuers().find((candidate) => candidate.keyId === keyId);
    if (issuer === undefined) throw notFound('CA_NOT_FOUND', 'there is no CA with this key id');
    return issuer;
  }

  /** When the first of the lists ends, Unix milliseconds; `undefined` before there is one. */
  nextUpdate(): number | undefined {
    const ends = this.parts
      .issuers()
      .flatMap(({ keyId }) => this.#lists.get(keyId)?.latest?.nextUpdate ?? []);
    return ends.length === 0 ? undefined : Math.min(...ends);
  }

  #list(issuer: Issuer): IssuerCrl {
    let list = this.#lists.get(issuer.keyId);
    if (list === undefined) {
      list = new IssuerCrl(issuer, this.parts);
      this.#lists.set(issuer.keyId, list);
    }
    return list;
  }
}
