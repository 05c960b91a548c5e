import type { TrustBundle } from '../ca/trust-bundle.js';
import type { StoreTime } from '../database/unit-of-work.js';
import type { WelcomeFields } from './protocol/messages.js';

export interface ClusterFactsSource {
  readonly trustBundle: () => TrustBundle;
  readonly storeTime: () => StoreTime;
  /** `host:port` in the order in which devices try them; known once the doors listen. */
  readonly grpcEndpoints: () => readonly string[];
  readonly quicEndpoints: () => readonly string[];
}

/** What this cluster tells of itself: in `welcome`, with certificates, and in its status. */
export class ClusterFacts {
  constructor(private readonly source: ClusterFactsSource) {}

  trustBundle(): TrustBundle {
    return this.source.trustBundle();
  }

  storeTime(): StoreTime {
    return this.source.storeTime();
  }

  grpcEndpoints(): readonly string[] {
    return this.source.grpcEndpoints();
  }

  quicEndpoints(): readonly string[] {
    return this.source.quicEndpoints();
  }

  welcomeFields(): WelcomeFields {
    const { trustDomain, roots } = this.trustBundle();
    const { epoch, sequence } = this.storeTime();
    return {
      trustDomain,
      roots,
      epoch,
      sequence,
      grpcEndpoints: this.grpcEndpoints(),
      quicEndpoints: this.quicEndpoints(),
    };
  }
}
