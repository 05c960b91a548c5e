import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { systemErrorCode } from '../errors/system-error-code.js';
import type { HostPort } from '../network/network-address.js';

export interface UdpSocketEvents {
  onDatagram(datagram: Buffer, from: HostPort): void;
  /** One datagram could not be sent: EPERM, ENOBUFS, EHOSTUNREACH and the like. QUIC takes it for lost. */
  onSendFailed(code: string): void;
  /** The socket itself reported an error; it stays open. */
  onFailed(error: unknown): void;
}

type LookupCallback = (error: null, address: string, family: number) => void;

/**
 * Addresses are always numeric here: answering at once saves a pass through the resolver for every datagram. The socket
 * knows its own family and does not look at the one it is told.
 */
function numericLookup(host: string, _options: unknown, callback: LookupCallback): void {
  callback(null, host, 0);
}

/** The system's name of a failure, for example `ENOBUFS`. */
export function errorCode(error: unknown): string {
  return systemErrorCode(error) ?? 'UNKNOWN';
}

/** A UDP socket on which no failure to send is an exception. */
export class UdpSocket {
  readonly address: HostPort;
  #events: UdpSocketEvents | undefined;
  #isConnected = false;

  private constructor(private readonly socket: Socket) {
    const { address, port } = socket.address();
    this.address = { host: address, port };
    socket.on('error', (error) => {
      this.#events?.onFailed(error);
    });
  }

  /**
   * `bufferBytes`: kernel buffers each way; mass closes are lost in the system's small default. Rejects with the system's
   * error. Nothing is received before `start`, which has to follow at once.
   */
  static async bind(at: HostPort, bufferBytes: number): Promise<UdpSocket> {
    const socket = createSocket({
      type: isIPv6(at.host) ? 'udp6' : 'udp4',
      recvBufferSize: bufferBytes,
      sendBufferSize: bufferBytes,
      lookup: numericLookup,
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(error);
      });
      socket.bind(at.port, at.host, () => {
        socket.removeAllListeners('error');
        resolve();
      });
    });
    return new UdpSocket(socket);
  }

  /** Talks to `remote` only from now on, so that the system reports when nothing listens there (ECONNREFUSED). */
  async connect(remote: HostPort): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.socket.connect(remote.port, remote.host, (error?: Error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
    this.#isConnected = true;
  }

  start(events: UdpSocketEvents): void {
    this.#events = events;
    this.socket.on('message', (datagram, { address, port }) => {
      events.onDatagram(datagram, { host: address, port });
    });
  }

  /** Never throws; what cannot be sent is reported. */
  send(packet: Buffer, to: HostPort): void {
    try {
      if (this.#isConnected) this.socket.send(packet, this.#onSent);
      else this.socket.send(packet, to.port, to.host, this.#onSent);
    } catch (error) {
      this.#onSent(error);
    }
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.socket.close(() => {
        resolve();
      });
    });
  }

  readonly #onSent = (error: unknown): void => {
    if (error !== null && error !== undefined) this.#events?.onSendFailed(errorCode(error));
  };
}
