import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { type HostPort, sourceOf } from '../network/network-address.js';

export interface ConnectionLimits {
  readonly maxConnections: number;
  /** From one IPv4 address or one IPv6 /64. */
  readonly maxConnectionsPerAddress: number;
}

export type GateRefusal = 'total' | 'address';

/** What the gate tells of itself. */
export interface GateObserver {
  connectionsChanged(open: number): void;
  connectionRefused(reason: GateRefusal): void;
}

/**
 * The listening TCP socket of the gRPC door. A connection over a bound is reset before TLS is spent on it, and its place
 * is free the moment the socket is closed, however that comes about.
 */
export class ConnectionGate {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #bySource = new Map<string, number>();

  /** @param accept Takes over each socket that is let in. */
  constructor(
    private readonly limits: ConnectionLimits,
    private readonly observer: GateObserver,
    private readonly accept: (socket: Socket) => void,
  ) {
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
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }

  private admit(socket: Socket): void {
    socket.on('error', () => undefined);
    const source = sourceOf(socket.remoteAddress ?? 'unknown');
    const refusal = this.refusal(source);
    if (refusal !== undefined) {
      this.observer.connectionRefused(refusal);
      socket.resetAndDestroy();
      return;
    }
    this.count(socket, source);
    this.accept(socket);
  }

  private refusal(source: string): GateRefusal | undefined {
    if (this.#sockets.size >= this.limits.maxConnections) {
      return 'total';
    }
    return (this.#bySource.get(source) ?? 0) >= this.limits.maxConnectionsPerAddress ? 'address' : undefined;
  }

  private count(socket: Socket, source: string): void {
    this.#sockets.add(socket);
    this.#bySource.set(source, (this.#bySource.get(source) ?? 0) + 1);
    this.observer.connectionsChanged(this.#sockets.size);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      const left = (this.#bySource.get(source) ?? 1) - 1;
      if (left === 0) {
        this.#bySource.delete(source);
      } else {
        this.#bySource.set(source, left);
      }
      this.observer.connectionsChanged(this.#sockets.size);
    });
  }
}
