import { describe, expect, it } from '@jest/globals';
import { ClusterTimeWatch, withKnownTime } from './cluster-time.js';
import type { KnownCluster } from './device-records.js';
import type { PairingEvent } from './pairing-event.js';

const clusterAt = (epoch: number, sequence: number, trustDomain = 'test.palyra.internal'): KnownCluster => ({
  trustDomain,
  roots: [],
  grpcEndpoints: ['new.example:7443'],
  quicEndpoints: [],
  epoch,
  sequence,
});

const fall = (known: readonly [number, number], seen: readonly [number, number]): PairingEvent => ({
  event: 'store_time_fell',
  known: { epoch: known[0], sequence: known[1] },
  seen: { epoch: seen[0], sequence: seen[1] },
});

describe('what a device knows of the time of its cluster', () => {
  it('tells once when a bundle is older than what is known, and of no other cluster', () => {
    const events: PairingEvent[] = [];
    const watch = new ClusterTimeWatch(clusterAt(10, 7), (event) => events.push(event));
    const see = (epoch: bigint, sequence: bigint, trustDomain = 'test.palyra.internal'): void => {
      watch.see({ trustDomain, roots: [], epoch, sequence });
    };
    watch.see(undefined);
    see(10n, 7n);
    see(10n, 9n);
    see(1n, 1n, 'other.palyra.internal');
    expect(events).toEqual([]);
    see(10n, 8n);
    see(10n, 8n);
    expect(events).toEqual([fall([10, 9], [10, 8])]);
  });

  it('keeps the highest time over pairings with the same cluster', () => {
    const events: PairingEvent[] = [];
    const observe = (event: PairingEvent): unknown => events.push(event);
    const before = { ...clusterAt(10, 7), grpcEndpoints: ['old.example:7443'] };
    expect(withKnownTime(clusterAt(10, 8), before, observe)).toEqual(clusterAt(10, 8));
    expect(withKnownTime(clusterAt(1, 1), undefined, observe)).toEqual(clusterAt(1, 1));
    const elsewhere = clusterAt(1, 1, 'other.palyra.internal');
    expect(withKnownTime(elsewhere, before, observe)).toEqual(elsewhere);
    expect(events).toEqual([]);
    expect(withKnownTime(clusterAt(9, 99), before, observe)).toEqual(clusterAt(10, 7));
    expect(events).toEqual([fall([10, 7], [9, 99])]);
  });
});
