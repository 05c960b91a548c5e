import { status } from '@grpc/grpc-js';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { StoreTime } from '../database/unit-of-work.js';
import type { CallObserver } from '../grpc/call-interceptors.js';
import type { GateObserver } from '../grpc/connection-gate.js';
import type { GateBound } from '../grpc/connection-places.js';
import type { RootExpiry } from './root-expiry.js';
import type { QuicEvent, QuicObserver } from '../quic/quic-observer.js';

/** What the gauges read when somebody scrapes. */
export interface MetricSources {
  readonly storeTime: () => StoreTime;
  /** Admitted QUIC connections. */
  readonly quicConnections: () => number;
  /** Devices with an admitted QUIC connection. */
  readonly devicesOnline: () => number;
  /** When certificates end, Unix milliseconds, by what they are for: `root`, `grpc`, `quic`. */
  readonly certificateExpiries: () => Readonly<Record<string, number>>;
  /** When the next of the devices' newest certificates ends, Unix milliseconds; one look-up in an index. */
  readonly nextDeviceExpiry: () => Promise<number | undefined>;
  /** When the first of the revocation lists ends, Unix milliseconds. */
  readonly crlNextUpdate: () => number | undefined;
  /** The roots of the CA, and when each ends, Unix milliseconds. */
  readonly roots: () => readonly RootExpiry[];
}

/** Everything that is measured, in a registry of its own. Labels come from fixed sets: no caller can make one. */
export class Metrics implements CallObserver, GateObserver, QuicObserver {
  readonly #registry = new Registry();
  readonly #calls = this.counter('palyra_grpc_calls_total', 'gRPC calls that have ended', ['method', 'code']);
  readonly #durations = new Histogram({
    name: 'palyra_grpc_call_duration_seconds',
    help: 'Duration of gRPC calls',
    labelNames: ['method'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100],
    registers: [this.#registry],
  });
  readonly #connections = this.gauge('palyra_grpc_connections', 'Open gRPC connections');
  readonly #refused = this.counter('palyra_grpc_connections_refused_total', 'gRPC connections over a bound', [
    'bound',
  ]);
  readonly #evicted = this.counter(
    'palyra_grpc_connections_evicted_total',
    'gRPC connections on which nobody had shown itself and that made room for newer ones',
    ['bound'],
  );
  readonly #pairing = this.counter('palyra_pairing_handshakes_total', 'Pairing handshakes by outcome', [
    'outcome',
  ]);
  readonly #decisions = this.counter('palyra_pairing_decisions_total', 'Decided pairing requests', [
    'decision',
  ]);
  readonly #quic = this.counter('palyra_quic_events_total', 'What happened at the QUIC door', [
    'event',
    'reason',
  ]);
  readonly #ready = this.gauge('palyra_ready', 'Whether a readiness check passes: 1 or 0', ['check']);

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** Gauges that are read, rather than kept; called once, when there is something to read. */
  readFrom(sources: MetricSources): void {
    this.readGauge(
      'palyra_audit_sequence',
      'Number of the last audit entry',
      () => sources.storeTime().sequence,
    );
    this.readGauge('palyra_store_epoch', 'Epoch of the store', () => sources.storeTime().epoch);
    this.readGauge('palyra_quic_connections', 'Admitted QUIC connections', sources.quicConnections);
    this.readGauge('palyra_devices_online', 'Devices with a QUIC connection', sources.devicesOnline);
    this.readTime(
      'palyra_device_certificate_next_expiry_timestamp_seconds',
      'When the next of the newest certificates of active devices ends, Unix time; NaN without any',
      sources.nextDeviceExpiry,
    );
    this.readTime(
      'palyra_crl_next_update_timestamp_seconds',
      'When the first of the revocation lists ends, Unix time; NaN before there is one',
      sources.crlNextUpdate,
    );
    new Gauge({
      name: 'palyra_certificate_expiry_timestamp_seconds',
      help: 'When a certificate ends, Unix time',
      labelNames: ['certificate'],
      registers: [this.#registry],
      collect() {
        for (const [certificate, expiresAt] of Object.entries(sources.certificateExpiries())) {
          this.set({ certificate }, expiresAt / 1_000);
        }
      },
    });
    this.readRoots(sources);
  }

  /** Key ids are of our own making, and there are never more than a few. */
  private readRoots(sources: MetricSources): void {
    new Gauge({
      name: 'palyra_ca_root_expiry_timestamp_seconds',
      help: 'When a root of the CA ends, Unix time',
      labelNames: ['key_id', 'state'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { keyId, state, expiresAt } of sources.roots()) {
          this.set({ key_id: keyId, state }, expiresAt / 1_000);
        }
      },
    });
  }

  callEnded(method: string, code: status, seconds: number): void {
    this.#calls.inc({ method: method.slice(1), code: status[code] });
    this.#durations.observe({ method: method.slice(1) }, seconds);
  }

  connectionsChanged(open: number): void {
    this.#connections.set(open);
  }

  connectionRefused(bound: GateBound): void {
    this.#refused.inc({ bound });
  }

  connectionEvicted(bound: GateBound): void {
    this.#evicted.inc({ bound });
  }

  /** @param outcome One of a fixed set of words, as `paired`, `refused`, `malformed`. */
  pairingEnded(outcome: string): void {
    this.#pairing.inc({ outcome });
  }

  pairingDecided(decision: 'approved' | 'rejected' | 'expired'): void {
    this.#decisions.inc({ decision });
  }

  observe(event: QuicEvent): void {
    this.#quic.inc({ event: event.event, reason: 'reason' in event ? event.reason : '' });
  }

  readinessChecked(check: string, passed: boolean): void {
    this.#ready.set({ check }, passed ? 1 : 0);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The Prometheus text format. */
  scrape(): Promise<string> {
    return this.#registry.metrics();
  }

  private counter<L extends string>(name: string, help: string, labelNames: L[]): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  private gauge<L extends string>(name: string, help: string, labelNames: L[] = []): Gauge<L> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }

  private readTime(
    name: string,
    help: string,
    read: () => Promise<number | undefined> | number | undefined,
  ): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      async collect() {
        this.set(((await read()) ?? Number.NaN) / 1_000);
      },
    });
  }

  private readGauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }
}
