/** Places of the gRPC door, in all and from one address (IPv6: one /64). */
export interface ConnectionLimits {
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
}

export type GateBound = 'total' | 'address';

/**
 * Who has shown itself on a connection: an operator by its token, a device by its collect token (`id` is then that of the
 * request) or by its identity key.
 */
export type Proof = { readonly kind: 'operator' } | { readonly kind: 'device'; readonly id: string };

export type Admission<C> =
  | { readonly admitted: true; readonly evicted?: { readonly connection: C; readonly bound: GateBound } }
  | { readonly admitted: false; readonly bound: GateBound };

/** One place in this many, in all and of each address, is never kept by a device, so that an operator always finds one. */
const RESERVE = 16;
/** Places that one device keeps, so that a single one that has gone bad cannot hold them all. */
const KEPT_BY_ONE_DEVICE = 4;

interface Source {
  readonly name: string;
  open: number;
  /** Places that devices keep. */
  devices: number;
  /** Connections on which nobody has shown itself, oldest first. */
  readonly strangers: Set<object>;
}

interface Holder {
  readonly source: Source;
  proof: Proof | undefined;
}

/**
 * Who holds the places of the door. A connection is a stranger's until somebody has shown itself on it; whoever only holds
 * a place loses it to a newcomer once places are short: at the bound of an address the oldest stranger of that address, at
 * the bound of all the oldest stranger of the address that has the most of them. So a few addresses can shut nobody out,
 * and a flood ends its own connections first. Synchronous: no two newcomers can race for one place.
 */
export class ConnectionPlaces<C extends object> {
  readonly #holders = new Map<C, Holder>();
  readonly #sources = new Map<string, Source>();
  readonly #keptByDevice = new Map<string, number>();
  #devices = 0;

  constructor(private readonly limits: ConnectionLimits) {}

  get open(): number {
    return this.#holders.size;
  }

  /** The caller ends the connection that was evicted; its place is the newcomer's already. */
  admit(connection: C, sourceName: string): Admission<C> {
    const bound = this.boundMet(sourceName);
    if (bound === undefined) {
      this.take(connection, sourceName);
      return { admitted: true };
    }
    const evicted = this.evictable(bound, sourceName);
    if (evicted === undefined) return { admitted: false, bound };
    this.leave(evicted);
    this.take(connection, sourceName);
    return { admitted: true, evicted: { connection: evicted, bound } };
  }

  /**
   * Keeps the place for whoever has shown itself. Devices keep all but the reserve, and each of them a few; what comes
   * later stays evictable.
   */
  prove(connection: C, proof: Proof): void {
    const holder = this.#holders.get(connection);
    if (holder === undefined || holder.proof?.kind === 'operator') return;
    if (proof.kind === 'device') {
      if (holder.proof !== undefined || !this.mayKeep(holder.source, proof.id)) return;
      this.count(holder.source, proof.id, 1);
    } else if (holder.proof !== undefined) {
      this.count(holder.source, holder.proof.id, -1);
    }
    holder.proof = proof;
    holder.source.strangers.delete(connection);
  }

  /** Gives the place back; may be called again. */
  leave(connection: C): void {
    const holder = this.#holders.get(connection);
    if (holder === undefined) return;
    this.#holders.delete(connection);
    const { source, proof } = holder;
    if (proof?.kind === 'device') this.count(source, proof.id, -1);
    source.strangers.delete(connection);
    source.open -= 1;
    if (source.open === 0) this.#sources.delete(source.name);
  }

  private mayKeep(source: Source, deviceId: string): boolean {
    const { maxConnections, maxConnectionsPerAddress } = this.limits;
    return (
      this.#devices < withoutReserve(maxConnections) &&
      source.devices < withoutReserve(maxConnectionsPerAddress) &&
      (this.#keptByDevice.get(deviceId) ?? 0) < KEPT_BY_ONE_DEVICE
    );
  }

  private count(source: Source, deviceId: string, more: 1 | -1): void {
    this.#devices += more;
    source.devices += more;
    const kept = (this.#keptByDevice.get(deviceId) ?? 0) + more;
    if (kept === 0) this.#keptByDevice.delete(deviceId);
    else this.#keptByDevice.set(deviceId, kept);
  }

  private boundMet(sourceName: string): GateBound | undefined {
    const open = this.#sources.get(sourceName)?.open ?? 0;
    if (open >= this.limits.maxConnectionsPerAddress) return 'address';
    return this.#holders.size >= this.limits.maxConnections ? 'total' : undefined;
  }

  private evictable(bound: GateBound, sourceName: string): C | undefined {
    const source = bound === 'address' ? this.#sources.get(sourceName) : this.mostStrangers();
    const [oldest] = source?.strangers ?? [];
    return oldest as C | undefined;
  }

  private mostStrangers(): Source | undefined {
    let most: Source | undefined;
    for (const source of this.#sources.values()) {
      if (source.strangers.size > (most?.strangers.size ?? 0)) most = source;
    }
    return most;
  }

  private take(connection: C, name: string): void {
    const source = this.#sources.get(name) ?? { name, open: 0, devices: 0, strangers: new Set() };
    source.open += 1;
    source.strangers.add(connection);
    this.#sources.set(name, source);
    this.#holders.set(connection, { source, proof: undefined });
  }
}

const withoutReserve = (places: number): number => places - Math.ceil(places / RESERVE);
