import quiche from '@matrixai/quic/native/quiche.js';
import type { Connection } from '@matrixai/quic/native/types.js';
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { QuicheConfigs, type TlsIdentity } from '../../src/quic/quiche-config.js';

const LOOPBACK = '127.0.0.1';

/** A QUIC client that does only what a test tells it, datagram by datagram: for handshakes that stop halfway. */
export class RawPeer {
  readonly received: Buffer[] = [];
  #onDatagram: () => void = () => undefined;

  private constructor(
    readonly native: Connection,
    private readonly socket: Socket,
    private readonly serverPort: number,
  ) {
    socket.on('message', (datagram) => {
      this.received.push(datagram);
      this.#onDatagram();
    });
  }

  static async open(
    serverPort: number,
    identity: TlsIdentity,
    options: { trustDomain: string; from?: string; session?: Uint8Array },
  ): Promise<RawPeer> {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, options.from ?? LOOPBACK, resolve));
    const configs = new QuicheConfigs(identity, {
      idleTimeoutMs: 5_000,
      maxStreams: 0,
      maxUnreadBytes: 100_000,
      maxUnreadBytesPerStream: 100_000,
      maxDatagramBytes: 1350,
    });
    const config = configs.forClient();
    if (options.session !== undefined) config.enableEarlyData();
    const { address, port } = socket.address();
    const native = quiche.Connection.connect(
      `control-plane.${options.trustDomain}`,
      randomBytes(20),
      { host: address, port },
      { host: LOOPBACK, port: serverPort },
      config,
    );
    if (options.session !== undefined) native.setSession(options.session);
    return new RawPeer(native, socket, serverPort);
  }

  /** The datagrams that the client would send now. */
  outgoing(): Buffer[] {
    const datagrams: Buffer[] = [];
    const out = Buffer.alloc(1350);
    for (let sent = this.native.send(out); sent !== null; sent = this.native.send(out)) {
      datagrams.push(Buffer.from(out.subarray(0, sent[0])));
    }
    return datagrams;
  }

  sendDatagram(datagram: Buffer): void {
    this.socket.send(datagram, this.serverPort, LOOPBACK);
  }

  flush(): void {
    for (const datagram of this.outgoing()) this.sendDatagram(datagram);
  }

  /** Takes what has come; errors are the client's own business here. */
  process(): void {
    const { address, port } = this.socket.address();
    const path = { from: { host: LOOPBACK, port: this.serverPort }, to: { host: address, port } };
    for (const datagram of this.received.splice(0)) {
      try {
        this.native.recv(datagram, path);
      } catch {
        return;
      }
    }
  }

  /** Waits for at least one datagram; false after `ms` without any. */
  async heard(ms = 1_000): Promise<boolean> {
    if (this.received.length > 0) return true;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        resolve(false);
      }, ms);
      this.#onDatagram = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  /** Goes through Retry and sends the first Initial with a token, but nothing after it: a half-open handshake. */
  async halfOpen(): Promise<void> {
    this.flush();
    await this.heard();
    this.process();
    this.flush();
    await this.heard();
  }

  /** Runs the connection until `done` or nothing has come for two seconds. */
  async runUntil(done: () => boolean): Promise<void> {
    for (;;) {
      this.flush();
      if (done() || !(await this.heard(2_000))) return;
      this.process();
    }
  }

  close(): void {
    this.socket.close();
  }
}
