import { describe, expect, it } from '@jest/globals';
import type { TrustBundle } from '../../generated/palyra/controlplane/v1/trust_bundle.js';
import type { KnownCluster } from './device-records.js';
import { withBundle } from './known-cluster.js';

const known: KnownCluster = {
  trustDomain: 'test.palyra.internal',
  roots: [Buffer.from('old root')],
  grpcEndpoints: ['localhost:7443'],
  quicEndpoints: ['localhost:7444'],
  epoch: 10,
  sequence: 20,
};
const roots = [Buffer.from('new root')];

const bundle = (changes: Partial<TrustBundle> = {}): TrustBundle => ({
  trustDomain: known.trustDomain,
  roots,
  epoch: 10n,
  sequence: 20n,
  ...changes,
});

describe('a bundle over verified TLS', () => {
  it.each([
    [10n, 20n],
    [10n, 21n],
    [11n, 1n],
  ])('takes the place of what was known (%s, %s)', (epoch, sequence) => {
    expect(withBundle(known, bundle({ epoch, sequence }))).toEqual({
      cluster: { ...known, roots, epoch: Number(epoch), sequence: Number(sequence) },
      storeTimeFell: false,
    });
  });

  it.each([
    [10n, 19n],
    [9n, 99n],
  ])('of an older store is told, and takes the place of nothing (%s, %s)', (epoch, sequence) => {
    expect(withBundle(known, bundle({ epoch, sequence }))).toEqual({ cluster: known, storeTimeFell: true });
  });

  it.each([
    ['none', undefined],
    ['of another cluster', bundle({ trustDomain: 'other.example', sequence: 1n })],
    ['without roots', bundle({ roots: [] })],
  ])('%s changes nothing', (_name, other) => {
    expect(withBundle(known, other)).toEqual({ cluster: known, storeTimeFell: false });
  });
});
