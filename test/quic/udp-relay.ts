import { createSocket, type Socket } from 'node:dgram';

const LOOPBACK = '127.0.0.1';

/** Stands between one client and a server, so that a test can lose datagrams or put another server in the place of one. */
export class UdpRelay {
  /** Where the client's datagrams go; undefined loses them. */
  serverPort: number | undefined;
  #clientPort = 0;

  private constructor(
    private readonly clientSide: Socket,
    private readonly serverSide: Socket,
    serverPort: number,
  ) {
    this.serverPort = serverPort;
    clientSide.on('message', (datagram, { port }) => {
      this.#clientPort = port;
      if (this.serverPort !== undefined) serverSide.send(datagram, this.serverPort, LOOPBACK);
    });
    serverSide.on('message', (datagram, { port }) => {
      if (port === this.serverPort) clientSide.send(datagram, this.#clientPort, LOOPBACK);
    });
  }

  static async open(serverPort: number): Promise<UdpRelay> {
    return new UdpRelay(await boundSocket(), await boundSocket(), serverPort);
  }

  /** Where the client connects to. */
  get port(): number {
    return this.clientSide.address().port;
  }

  close(): void {
    this.clientSide.close();
    this.serverSide.close();
  }
}

async function boundSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, LOOPBACK, resolve));
  return socket;
}
