/** Places of the gRPC door, in all and from one address (IPv6: one /64). */
export interface ConnectionLimits {
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
}

export type GateBound = 'total' | 'address';

/** Who has shown itself on a connection: an operator by its token, a device by its collect token or identity key. */
export type ProvenAs = 'operator' | 'device';

export type Admission<C> =
  | { readonly admitted: true; readonly evicted?: { readonly connection: C; readonly bound: GateBound } }
  | { readonly admitted: false; readonly bound: GateBound };

/** One place in this many is never kept by a device, so that an operator always finds one. */
const RESERVE = 16;

interface Source {
  readonly name: string;
  open: number;
  /** Connections on which nobody has shown itself, oldest first. */
  readonly strangers: Set<object>;
}

interface Holder {
  readonly source: Source;
  proven: ProvenAs | undefined;
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

  /** Keeps the place for whoever has shown itself. Devices keep all but the reserve, whoever comes later stays evictable. */
  prove(connection: C, as: ProvenAs): void {
    const holder = this.#holders.get(connection);
    if (holder === undefined || holder.proven === 'operator' || holder.proven === as) return;
    if (as === 'device') {
      if (this.#devices >= this.mostDevices) return;
      this.#devices += 1;
    } else if (holder.proven === 'device') {
      this.#devices -= 1;
    }
    holder.proven = as;
    holder.source.strangers.delete(connection);
  }

  /** Gives the place back; may be called again. */
  leave(connection: C): void {
    const holder = this.#holders.get(connection);
    if (holder === undefined) return;
    this.#holders.delete(connection);
    if (holder.proven === 'device') this.#devices -= 1;
    const { source } = holder;
    source.strangers.delete(connection);
    source.open -= 1;
    if (source.open === 0) this.#sources.delete(source.name);
  }

  private get mostDevices(): number {
    const { maxConnections } = this.limits;
    return maxConnections - Math.ceil(maxConnections / RESERVE);
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
    const source = this.#sources.get(name) ?? { name, open: 0, strangers: new Set() };
    source.open += 1;
    source.strangers.add(connection);
    this.#sources.set(name, source);
    this.#holders.set(connection, { source, proven: undefined });
  }
}
