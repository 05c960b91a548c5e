import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { type Endpoint, requireEndpoint } from '../../src/client/grpc/endpoint.js';

/** Passes TCP connections on from a loopback address of its own, so that the service sees callers from many places. */
export class LoopbackSource {
  readonly #sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly address: string,
  ) {}

  /** `number` is the last octet of the address. */
  static async open(service: Endpoint, number: number): Promise<LoopbackSource> {
    const server = createServer();
    const source = new LoopbackSource(server, `127.0.0.${String(number)}`);
    server.on('connection', (socket) => {
      source.#join(socket, service);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return source;
  }

  static openMany(service: Endpoint, count: number): Promise<LoopbackSource[]> {
    return Promise.all(Array.from({ length: count }, (_, index) => LoopbackSource.open(service, 11 + index)));
  }

  get endpoint(): Endpoint {
    return requireEndpoint(`127.0.0.1:${String((this.server.address() as AddressInfo).port)}`);
  }

  close(): void {
    this.server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(caller: Socket, service: Endpoint): void {
    const callee = connect({ host: service.host, port: service.port, localAddress: this.address });
    for (const [from, to] of [
      [caller, callee],
      [callee, caller],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay();
      from.pipe(to);
      // A broken end breaks the other; what that means is for those who speak.
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}
