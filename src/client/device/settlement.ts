import type { TrustBundle } from '../../generated/palyra/controlplane/v1/trust_bundle.js';
import type { Clock } from '../../time/clock.js';
import { ClientError } from '../client-error.js';
import { laterStoreTime } from '../store-time.js';
import { checkCertificate } from './certificate-check.js';
import { storeTimeOf } from './cluster-time.js';
import type { CollectOutcome } from './collection.js';
import {
  completePairing,
  type KnownCluster,
  type PendingPairing,
  type StoredCertificate,
} from './device-records.js';
import type { DeviceStore } from './device-store.js';
import type { PairingObserver } from './pairing-event.js';

/**
 * Acts on what the server said of a pairing: keeps the checked certificate, or drops the pending record. `undefined` when
 * the server knows nothing of it. Throws `refused` (rejected), or `failed` (expired, or a certificate that does not hold,
 * with which the pending record stays).
 */
export async function settlePairing(
  store: DeviceStore,
  pending: PendingPairing,
  outcome: CollectOutcome,
  clock: Clock,
  observe: PairingObserver,
): Promise<StoredCertificate | undefined> {
  if (outcome.outcome === 'certificate') return keepCertificate(store, pending, outcome, clock, observe);
  await store.delete('pending');
  switch (outcome.outcome) {
    case 'rejected':
      throw rejected(outcome.reason);
    case 'expired':
      throw new ClientError('failed', 'REQUEST_EXPIRED', 'nobody decided on the request in time', {
        advice: 'ask for a new code and pair again',
      });
    case 'not_found':
      return undefined;
  }
}

async function keepCertificate(
  store: DeviceStore,
  pending: PendingPairing,
  { chain, bundle }: Extract<CollectOutcome, { outcome: 'certificate' }>,
  clock: Clock,
  observe: PairingObserver,
): Promise<StoredCertificate> {
  const { deviceId, identityKey, certificateKey } = pending;
  const cluster = newerCluster(pending.cluster, bundle);
  const expected = { deviceId, certificateKey, trustDomain: cluster.trustDomain, roots: cluster.roots };
  const checked = checkCertificate(chain, expected, clock.now());
  const { fingerprint, expiresAt } = checked;
  const certificate = { deviceId, certificateKey, chain: checked.chain, fingerprint, expiresAt, cluster };
  await completePairing(store, { deviceId, identityKey }, certificate);
  observe({ event: 'certificate', deviceId, fingerprint, expiresAt });
  return certificate;
}

/**
 * The bundle that came over verified TLS takes the place of the welcome's, unless it is of another cluster. The highest
 * epoch and sequence stay, so that a store that was put back is noticed each time.
 */
function newerCluster(known: KnownCluster, bundle: TrustBundle | undefined): KnownCluster {
  if (bundle === undefined || bundle.trustDomain !== known.trustDomain || bundle.roots.length === 0)
    return known;
  return { ...known, roots: bundle.roots, ...laterStoreTime(known, storeTimeOf(bundle)) };
}

function rejected(reason: string): ClientError {
  const why = reason === '' ? '' : `: ${reason}`;
  return new ClientError('refused', 'REJECTED', `an operator rejected this device${why}`, {
    advice: 'ask the operator; a new code is needed to try again',
  });
}
