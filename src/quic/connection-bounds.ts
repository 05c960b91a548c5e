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

/**
 * Asks the holder of a place to leave it to somebody else: ends what it is for and releases its slot before it returns, or
 * returns false and keeps it.
 */
export type GiveWay = () => boolean;

/** When a handshake has lasted so long that it gives its place to whoever has none. */
export interface Patience {
  monotonic(): number;
  /** Milliseconds; honest handshakes take a few round trips. */
  readonly stalledAfterMs: number;
}

const ENDLESS: Patience = { monotonic: () => 0, stalledAfterMs: Number.POSITIVE_INFINITY };

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

  constructor(limits: ConnectionLimits, patience = ENDLESS) {
    this.#handshakes = new SlotGroup(limits.maxHandshakes, limits.maxHandshakesPerSource, patience);
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
    const source = sourceOf(host);
    if (this.#handshakes.isFullFor(source)) return 'handshakes_of_source_full';
    return this.#handshakes.isFull && !this.#handshakes.canMakeRoomFor(source)
      ? 'handshakes_full'
      : undefined;
  }

  /**
   * A source that holds fewer places than another takes one of that one's when all are taken, the oldest first: a few
   * addresses that let their handshakes stall cannot keep everybody else out. A source that holds none takes that of the
   * oldest handshake that has stalled, whosever it is: as many addresses as there are places cannot either, unless they
   * begin anew all the time.
   */
  reserveHandshake(host: string, giveWay: GiveWay): Reservation {
    const reason = this.handshakeRefusal(host);
    if (reason !== undefined) return { ok: false, reason };
    const source = sourceOf(host);
    if (this.#handshakes.isFull && !this.#handshakes.makeRoomFor(source)) {
      return { ok: false, reason: 'handshakes_full' };
    }
    return { ok: true, slot: this.#handshakes.reserve(source, giveWay) };
  }

  reserveConnection(deviceId: string): Reservation {
    if (this.#connections.isFull) return { ok: false, reason: 'connections_full' };
    if (this.#connections.isFullFor(deviceId)) return { ok: false, reason: 'connections_of_device_full' };
    return { ok: true, slot: this.#connections.reserve(deviceId) };
  }
}

const NEVER: GiveWay = () => false;

interface Place {
  readonly giveWay: GiveWay;
  readonly since: number;
}

/** Counts places in all and by key. */
class SlotGroup {
  /** The places of each key, oldest first. */
  readonly #byKey = new Map<string, Set<Place>>();
  #size = 0;

  constructor(
    public total: number,
    private readonly perKey: number,
    private readonly patience = ENDLESS,
  ) {}

  get size(): number {
    return this.#size;
  }

  get isFull(): boolean {
    return this.#size >= this.total;
  }

  isFullFor(key: string): boolean {
    return this.#sizeOf(key) >= this.perKey;
  }

  /** Whether a place might be left to `key`. */
  canMakeRoomFor(key: string): boolean {
    return this.#leavableTo(key).length > 0;
  }

  /** Has one place left to `key`, the oldest that may go. Returns whether one was. */
  makeRoomFor(key: string): boolean {
    for (const { giveWay } of this.#leavableTo(key)) if (giveWay()) return true;
    return false;
  }

  reserve(key: string, giveWay: GiveWay = NEVER): Slot {
    const places = this.#byKey.get(key) ?? new Set();
    const place = { giveWay, since: this.patience.monotonic() };
    this.#byKey.set(key, places.add(place));
    this.#size += 1;
    return {
      release: () => {
        if (!places.delete(place)) return;
        this.#size -= 1;
        if (places.size === 0 && this.#byKey.get(key) === places) this.#byKey.delete(key);
      },
    };
  }

  #sizeOf(key: string): number {
    return this.#byKey.get(key)?.size ?? 0;
  }

  /** Places of the fullest key, if that holds as many as `key` after leaving one; else what has stalled, for a key without any. */
  #leavableTo(key: string): Place[] {
    const own = this.#sizeOf(key);
    const fullest = this.#fullest();
    if (fullest.size > own + 1) return [...fullest];
    return own === 0 ? this.#stalled() : [];
  }

  /** Oldest first. */
  #stalled(): Place[] {
    const latest = this.patience.monotonic() - this.patience.stalledAfterMs;
    const places = [...this.#byKey.values()].flatMap((ofKey) => [...ofKey]);
    return places.filter(({ since }) => since <= latest).sort((one, other) => one.since - other.since);
  }

  /** The places of the key that holds the most. */
  #fullest(): ReadonlySet<Place> {
    let fullest: ReadonlySet<Place> = new Set();
    for (const places of this.#byKey.values()) if (places.size > fullest.size) fullest = places;
    return fullest;
  }
}
