import { sourceOf } from '../network/network-address.js';

export interface ConnectionLimits {
  /** Handshakes in progress, in all and per source address (IPv6: per /64). */
  readonly maxHandshakes: number;
  readonly maxHandshakesPerSource: number;
  /** Admitted connections, in all and per device. */
  readonly maxConnections: number;
  readonly maxConnectionsPerDevice: number;
}

export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  maxHandshakes: 64,
  maxHandshakesPerSource: 8,
  maxConnections: 256,
  maxConnectionsPerDevice: 4,
};

export type BoundReason =
  'handshakes_full' | 'handshakes_of_source_full' | 'connections_full' | 'connections_of_device_full';

/** A reserved place. Giving it back a second time does nothing, so every way a connection ends may do so. */
export interface Slot {
  release(): void;
}

export type Reservation =
  { readonly ok: true; readonly slot: Slot } | { readonly ok: false; readonly reason: BoundReason };

/**
 * The two bounds of DESIGN §6. Everything is synchronous: between the look and the reservation nothing else can run, so
 * no number of parallel handshakes gets past a bound.
 */
export class ConnectionBounds {
  readonly #handshakes: SlotGroup;
  readonly #connections: SlotGroup;

  constructor(limits: ConnectionLimits) {
    this.#handshakes = new SlotGroup(limits.maxHandshakes, limits.maxHandshakesPerSource);
    this.#connections = new SlotGroup(limits.maxConnections, limits.maxConnectionsPerDevice);
  }

  get handshakesInProgress(): number {
    return this.#handshakes.size;
  }

  get admittedConnections(): number {
    return this.#connections.size;
  }

  /** Changes how many connections may be admitted at once; those already in stay. */
  limitConnections(maxConnections: number): void {
    this.#connections.total = maxConnections;
  }

  /** Why an Initial would be turned away before TLS is spent on it; reserves nothing. */
  handshakeRefusal(host: string): BoundReason | undefined {
    if (this.#connections.isFull) return 'connections_full';
    if (this.#handshakes.isFull) return 'handshakes_full';
    return this.#handshakes.isFullFor(sourceOf(host)) ? 'handshakes_of_source_full' : undefined;
  }

  reserveHandshake(host: string): Reservation {
    const reason = this.handshakeRefusal(host);
    return reason === undefined
      ? { ok: true, slot: this.#handshakes.reserve(sourceOf(host)) }
      : { ok: false, reason };
  }

  reserveConnection(deviceId: string): Reservation {
    if (this.#connections.isFull) return { ok: false, reason: 'connections_full' };
    if (this.#connections.isFullFor(deviceId)) return { ok: false, reason: 'connections_of_device_full' };
    return { ok: true, slot: this.#connections.reserve(deviceId) };
  }
}

/** Counts places in all and by key. */
class SlotGroup {
  readonly #byKey = new Map<string, number>();
  #size = 0;

  constructor(
    public total: number,
    private readonly perKey: number,
  ) {}

  get size(): number {
    return this.#size;
  }

  get isFull(): boolean {
    return this.#size >= this.total;
  }

  isFullFor(key: string): boolean {
    return (this.#byKey.get(key) ?? 0) >= this.perKey;
  }

  reserve(key: string): Slot {
    this.#size += 1;
    this.#byKey.set(key, (this.#byKey.get(key) ?? 0) + 1);
    let held = true;
    return {
      release: () => {
        if (!held) return;
        held = false;
        this.#size -= 1;
        this.#forget(key);
      },
    };
  }

  #forget(key: string): void {
    const left = (this.#byKey.get(key) ?? 1) - 1;
    if (left === 0) this.#byKey.delete(key);
    else this.#byKey.set(key, left);
  }
}
