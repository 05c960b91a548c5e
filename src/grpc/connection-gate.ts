import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { type HostPort, sourceOf } from '../network/network-address.js';
import { type ConnectionLimits, ConnectionPlaces, type GateBound, type Proof } from './connection-places.js';

/** What the gate tells of itself. */
export interface GateObserver {
  connectionsChanged(open: number): void;
  connectionRefused(bound: GateBound): void;
  /** A connection on which nobody had shown itself made room for a newer one. */
  connectionEvicted(bound: GateBound): void;
}

/** A connection as a call on it names it. */
export interface PeerAddress {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/**
 * The listening TCP socket of the gRPC door. At a bound a newcomer takes the place of a connection on which nobody has
 * shown itself, or else is reset before TLS is spent on it; a place is free the moment the socket is closed, however that
 * comes about.
 */
export class ConnectionGate {
  readonly #server: Server;
  readonly #places: ConnectionPlaces<Socket>;
  readonly #sockets = new Map<string, Socket>();

  /** @param accept Takes over each socket that is let in. */
  constructor(
    limits: ConnectionLimits,
    private readonly observer: GateObserver,
    private readonly accept: (socket: Socket) => void,
  ) {
    this.#places = new ConnectionPlaces(limits);
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.admit(socket);
    });
  }

  /** Returns the address that was bound. Rejects when it cannot be. */
  listen(address: HostPort): Promise<HostPort> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: address.host, port: address.port }, () => {
        this.#server.off('error', reject);
        // Running out of file descriptors is reported here; the socket goes on listening.
        this.#server.on('error', () => undefined);
        const bound = this.#server.address() as AddressInfo;
        resolve({ host: bound.address, port: bound.port });
      });
    });
  }

  /** Takes no more connections; open ones go on. */
  close(): void {
    this.#server.close();
  }

  /** Ends what is still open. */
  destroy(): void {
    this.close();
    for (const socket of this.#sockets.values()) {
      socket.destroy();
    }
  }

  /** Somebody has shown itself on this connection: it keeps its place. */
  prove(peer: PeerAddress, proof: Proof): void {
    const socket = this.#sockets.get(nameOf(peer));
    if (socket !== undefined) this.#places.prove(socket, proof);
  }

  private admit(socket: Socket): void {
    socket.on('error', () => undefined);
    const admission = this.#places.admit(socket, sourceOf(socket.remoteAddress ?? 'unknown'));
    if (!admission.admitted) {
      this.observer.connectionRefused(admission.bound);
      socket.resetAndDestroy();
      return;
    }
    if (admission.evicted !== undefined) {
      this.observer.connectionEvicted(admission.evicted.bound);
      admission.evicted.connection.destroy();
    }
    this.keep(socket);
    this.accept(socket);
  }

  private keep(socket: Socket): void {
    const name = nameOf(socket);
    this.#sockets.set(name, socket);
    this.observer.connectionsChanged(this.#places.open);
    socket.once('close', () => {
      // A peer that comes back from the same port has a new socket under this name by now.
      if (this.#sockets.get(name) === socket) this.#sockets.delete(name);
      this.#places.leave(socket);
      this.observer.connectionsChanged(this.#places.open);
    });
  }
}

const nameOf = ({ remoteAddress, remotePort }: PeerAddress): string =>
  `${remoteAddress ?? 'unknown'}|${remotePort ?? 0}`;
