import type { Clock } from '../../time/clock.js';
import { ClientError } from '../client-error.js';
import { checkCertificate } from './certificate-check.js';
import type { CollectOutcome } from './collection.js';
import { completePairing, type PendingPairing, type StoredCertificate } from './device-records.js';
import type { DeviceStore } from './device-store.js';
import { withBundle } from './known-cluster.js';
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
  const { cluster } = withBundle(pending.cluster, bundle);
  const expected = { deviceId, certificateKey, trustDomain: cluster.trustDomain, roots: cluster.roots };
  const checked = checkCertificate(chain, expected, clock.now());
  const { fingerprint, expiresAt } = checked;
  const certificate = { deviceId, certificateKey, chain: checked.chain, fingerprint, expiresAt, cluster };
  await completePairing(store, { deviceId, identityKey }, certificate);
  observe({ event: 'certificate', deviceId, fingerprint, expiresAt });
  return certificate;
}

function rejected(reason: string): ClientError {
  const why = reason === '' ? '' : `: ${reason}`;
  return new ClientError('refused', 'REJECTED', `an operator rejected this device${why}`, {
    advice: 'ask the operator; a new code is needed to try again',
  });
}
