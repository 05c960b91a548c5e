import type { StoreTime } from '../../database/unit-of-work.js';
import { DomainError } from '../../errors/domain-error.js';
import type { TrustBundle } from '../../generated/palyra/controlplane/v1/trust_bundle.js';
import { compareStoreTime, laterStoreTime } from '../store-time.js';
import { type KnownCluster, readCertificate } from './device-records.js';
import type { DeviceStoreReader } from './device-store.js';
import type { PairingObserver } from './pairing-event.js';

/** Epoch and sequence of the store when the bundle was sent. */
export function storeTimeOf({ epoch, sequence }: TrustBundle): StoreTime {
  return { epoch: Number(epoch), sequence: Number(sequence) };
}

/** The times at which a device has seen the store of its cluster. Tells the observer once that it fell. */
export class ClusterTimeWatch {
  #told = false;

  constructor(
    private known: KnownCluster,
    private readonly observe: PairingObserver,
  ) {}

  /** Holds a bundle that came over verified TLS against what is known; one of another cluster says nothing. */
  see(bundle: TrustBundle | undefined): void {
    if (bundle === undefined || bundle.trustDomain !== this.known.trustDomain) return;
    const seen = storeTimeOf(bundle);
    this.#tellIfFallen(seen);
    this.known = { ...this.known, ...laterStoreTime(this.known, seen) };
  }

  #tellIfFallen(seen: StoreTime): void {
    const { epoch, sequence } = this.known;
    if (this.#told || compareStoreTime(this.known, seen) !== 'fell') return;
    this.#told = true;
    this.observe({ event: 'store_time_fell', known: { epoch, sequence }, seen });
  }
}

/** The cluster of the pairing before. A damaged record does not keep a device from pairing again, which replaces it. */
export async function readKnownCluster(store: DeviceStoreReader): Promise<KnownCluster | undefined> {
  try {
    return (await readCertificate(store))?.cluster;
  } catch (error) {
    if (error instanceof DomainError && error.kind === 'corrupt') return undefined;
    throw error;
  }
}

/** A cluster as a confirmed handshake told of it, with the highest time at which this device has seen its store. */
export function withKnownTime(
  told: KnownCluster,
  before: KnownCluster | undefined,
  observe: PairingObserver,
): KnownCluster {
  if (before?.trustDomain !== told.trustDomain) return told;
  if (compareStoreTime(before, told) === 'fell') {
    const known = { epoch: before.epoch, sequence: before.sequence };
    observe({ event: 'store_time_fell', known, seen: { epoch: told.epoch, sequence: told.sequence } });
  }
  const { epoch, sequence } = laterStoreTime(before, told);
  return { ...told, epoch, sequence };
}
