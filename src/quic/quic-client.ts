import quiche from '@matrixai/quic/native/quiche.js';
import type { Config } from '@matrixai/quic/native/types.js';
import { X509Certificate, randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { isIP, isIPv6 } from 'node:net';
import { controlPlaneDnsName } from '../ca/spiffe-id.js';
import { controlPlaneTrustDomain } from '../client/grpc/control-plane-name.js';
import { DomainError } from '../errors/domain-error.js';
import { systemClock, type Clock } from '../time/clock.js';
import { closeError } from './close-error.js';
import { ClientStream } from './client-stream.js';
import { formatHostPort, type HostPort } from '../network/network-address.js';
import { requestFrame, type NodeResponse } from './node-rpc-message.js';
import { OUR_CONNECTION_ID_BYTES } from './packet-header.js';
import { QuicConnection, type ConnectionEnd, type ConnectionOwner } from './quic-connection.js';
import { QuicheConfigs } from './quiche-config.js';
import { TurnQueue } from './turn-queue.js';
import { errorCode, UdpSocket } from './udp-socket.js';

export interface QuicClientOptions {
  /** A name or address; what it is proves nothing, the certificate's control-plane name does. */
  readonly host: string;
  readonly port: number;
  /** PEM. Without it no server of ours lets the client in. */
  readonly identity?: { readonly chain: string; readonly key: string };
  /** PEM of the roots that the server is checked against. */
  readonly roots: string;
  readonly trustDomain: string;
  /** From the first datagram until the handshake is done, milliseconds. */
  readonly connectTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
  /** Sends something this often, milliseconds, so that neither side counts the connection as idle; 0 for never. */
  readonly keepAliveMs?: number;
  /** Unread bytes the server may have on the way, in all and for one stream. */
  readonly maxUnreadBytes?: number;
  readonly maxUnreadBytesPerStream?: number;
  readonly clock?: Clock;
}

export interface CallOptions {
  readonly params?: object;
  readonly resumeFrom?: number;
  readonly signal?: AbortSignal;
}

/** How a connection ended, and the error that says it to people and programs. */
export interface ClientClose extends ConnectionEnd {
  readonly error: DomainError;
}

type ClientSettings = QuicClientOptions & Required<Omit<QuicClientOptions, 'identity' | 'clock'>>;

const DEFAULTS = {
  connectTimeoutMs: 10_000,
  idleTimeoutMs: 30_000,
  keepAliveMs: 0,
  maxUnreadBytes: 4 * 1024 * 1024,
  maxUnreadBytesPerStream: 1024 * 1024,
};
const MAX_DATAGRAM_BYTES = 1350;
const SOCKET_BUFFER_BYTES = 1024 * 1024;
const APPLICATION_CLOSE = 0;
const CLIENT_STREAM_STEP = 4;

/**
 * A device's connection to the control plane. `connect` resolves when the *server* has been verified; whether the server
 * admits the device is known by the first answer, or by how `closed` resolves (TLS 1.3 lets a client finish first).
 */
export class QuicClient implements ConnectionOwner {
  /** Resolves once, when the connection is over for whatever reason. Never rejects. */
  readonly closed: Promise<ClientClose>;
  readonly #clock: Clock;
  readonly #connection: QuicConnection;
  readonly #streams = new Map<number, ClientStream>();
  readonly #waiting: ClientStream[] = [];
  readonly #resolveClosed: (close: ClientClose) => void;
  readonly #ready: Promise<void>;
  #settleReady: (error?: Error) => void = () => undefined;
  #close: ClientClose | undefined;
  #failure: DomainError | undefined;
  #nextStream = 0;
  #deadline: number;
  #lastKeepAlive: number;

  private constructor(
    private readonly options: ClientSettings,
    private readonly socket: UdpSocket,
    remote: HostPort,
    config: Config,
  ) {
    this.#clock = options.clock ?? systemClock;
    this.#deadline = this.#clock.monotonic() + options.connectTimeoutMs;
    this.#lastKeepAlive = this.#clock.monotonic();
    let resolveClosed: (close: ClientClose) => void = () => undefined;
    this.closed = new Promise((resolve) => {
      resolveClosed = resolve;
    });
    this.#resolveClosed = resolveClosed;
    this.#ready = new Promise((resolve, reject) => {
      this.#settleReady = (error) => {
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    const local = socket.address;
    this.#connection = new QuicConnection({
      native: quiche.Connection.connect(
        controlPlaneDnsName(options.trustDomain),
        randomBytes(OUR_CONNECTION_ID_BYTES),
        local,
        remote,
        config,
      ),
      local,
      turns: new TurnQueue(() => {
        this.#connection.close(true, APPLICATION_CLOSE);
      }),
      send: (packet, to) => {
        socket.send(packet, to);
      },
      monotonic: () => this.#clock.monotonic(),
    });
    this.#connection.attach(this);
  }

  /**
   * Rejects with a DomainError: `SERVER_UNREACHABLE`, `CONNECT_TIMEOUT`, `FALSE_SERVER` (chain or control-plane name do
   * not hold), `IDENTITY_UNUSABLE`, or how the server closed the connection.
   */
  static async connect(options: QuicClientOptions): Promise<QuicClient> {
    const settings: ClientSettings = { ...DEFAULTS, ...options };
    const config = configFor(settings);
    const remote = await resolve(settings.host, settings.port);
    const at = { host: isIPv6(remote.host) ? '::' : '0.0.0.0', port: 0 };
    const socket = await UdpSocket.bind(at, SOCKET_BUFFER_BYTES);
    const client = await opened(socket, remote, () => new QuicClient(settings, socket, remote, config));
    socket.start({
      onDatagram: (datagram, from) => {
        client.receive(datagram, from);
      },
      // QUIC takes what could not be sent for lost; only that nothing listens is worth to be told at once.
      onSendFailed: (code) => {
        client.#noteSocketError(code);
      },
      onFailed: (error) => {
        client.#noteSocketError(errorCode(error));
      },
    });
    client.#connection.mark();
    await client.#ready;
    return client;
  }

  get isClosed(): boolean {
    return this.#close !== undefined;
  }

  /** `node.health`: the server's answer, in which `node_rpc_mtls_required` is always true. */
  async health(options: CallOptions = {}): Promise<NodeResponse> {
    return this.call('node.health', options);
  }

  /** One request, one response. An `ok: false` response resolves; a connection that ends first rejects with its error. */
  async call(method: string, options: CallOptions = {}): Promise<NodeResponse> {
    for await (const response of this.stream(method, options)) return response;
    throw new DomainError('unavailable', 'NO_RESPONSE', 'the server ended the stream without an answer');
  }

  /** One request, any number of responses; leaving the loop tells the server to stop. */
  stream(method: string, options: CallOptions = {}): AsyncIterable<NodeResponse> {
    return this.#open(requestFrame(method, options), true, options.signal);
  }

  /** Sends bytes as they are on a new stream; for tests of what a server does with malformed requests. */
  streamRaw(bytes: Buffer, options: { fin: boolean; signal?: AbortSignal }): AsyncIterable<NodeResponse> {
    return this.#open(bytes, options.fin, options.signal);
  }

  /** Tells the server and lets the port go. Requests in progress reject. */
  async close(): Promise<void> {
    this.#connection.close(true, APPLICATION_CLOSE);
    await this.closed;
  }

  receive(datagram: Buffer, from: HostPort): void {
    this.#connection.receive(datagram, from);
  }

  onEstablished(): void {
    this.#failure = this.#verifyServer();
    if (this.#failure === undefined) this.#settleReady();
    else this.#connection.close(true, APPLICATION_CLOSE);
  }

  onTurn(): void {
    if (!this.#connection.isEstablished) {
      if (this.#clock.monotonic() >= this.#deadline) this.#timeOut();
      return;
    }
    this.#keepAlive();
    this.#startWaiting();
    for (const id of this.#connection.readable()) this.#streams.get(id)?.readAvailable();
    for (const [id, stream] of this.#streams) if (stream.isOver) this.#streams.delete(id);
    this.#startWaiting();
  }

  onStreamDrained(): void {
    // Requests are small; nothing waits for this.
  }

  onStreamStopped(): void {
    // The server has its reasons not to read on; its answer still comes.
  }

  wakeInMs(): number | undefined {
    const now = this.#clock.monotonic();
    if (!this.#connection.isEstablished) return this.#deadline - now;
    const { keepAliveMs } = this.options;
    return keepAliveMs > 0 ? this.#lastKeepAlive + keepAliveMs - now : undefined;
  }

  onEnded(end: ConnectionEnd): void {
    const error = this.#failure ?? closeError(end);
    this.#close = { ...end, error };
    this.#settleReady(error);
    // What came in the packets before the close has not had its turn.
    for (const stream of this.#streams.values()) stream.readAvailable();
    for (const stream of [...this.#streams.values(), ...this.#waiting]) stream.abort(error);
    this.#streams.clear();
    this.#waiting.length = 0;
    // The close has been handed to the system already or goes with this turn's packets; then the port can go.
    setImmediate(() => {
      this.#connection.abandon();
    });
  }

  onGone(): void {
    const close = this.#close;
    void this.socket.close().then(() => {
      if (close !== undefined) this.#resolveClosed(close);
    });
  }

  #open(bytes: Buffer, fin: boolean, signal: AbortSignal | undefined): ClientStream {
    const stream = new ClientStream(this.#connection, { bytes, fin }, signal);
    if (this.#close === undefined) {
      this.#waiting.push(stream);
      this.#connection.mark();
    } else {
      stream.abort(this.#close.error);
    }
    return stream;
  }

  /** Opens streams as far as the server's limit allows; the rest waits until others are over. */
  #startWaiting(): void {
    for (let stream = this.#waiting[0]; stream !== undefined; stream = this.#waiting[0]) {
      if (!stream.isCancelled && !stream.start(this.#nextStream)) return;
      this.#waiting.shift();
      if (stream.isCancelled) continue;
      this.#streams.set(this.#nextStream, stream);
      this.#nextStream += CLIENT_STREAM_STEP;
    }
  }

  /** quiche has checked the chain and the DNS name; the URI name is what no other server of the cluster can have. */
  #verifyServer(): DomainError | undefined {
    const [leaf] = this.#connection.peerChain();
    const name = leaf === undefined ? undefined : controlPlaneTrustDomain(new X509Certificate(leaf));
    if (name === this.options.trustDomain) return undefined;
    return new DomainError(
      'unauthenticated',
      'FALSE_SERVER',
      `the server is not the control plane of ${this.options.trustDomain}`,
    );
  }

  #timeOut(): void {
    this.#failure = new DomainError(
      'unavailable',
      'CONNECT_TIMEOUT',
      `no QUIC connection with ${formatHostPort(this.options)} within ${this.options.connectTimeoutMs} ms`,
    );
    this.#connection.close(false, 0);
  }

  #noteSocketError(code: string): void {
    if (code !== 'ECONNREFUSED' || this.#connection.isEstablished) return;
    const { host, port } = this.options;
    this.#failure ??= new DomainError(
      'unavailable',
      'SERVER_UNREACHABLE',
      `nothing listens for QUIC at ${formatHostPort({ host, port })}`,
    );
    this.#connection.close(false, 0);
  }

  #keepAlive(): void {
    const { keepAliveMs } = this.options;
    const now = this.#clock.monotonic();
    if (keepAliveMs <= 0 || now - this.#lastKeepAlive < keepAliveMs) return;
    this.#lastKeepAlive = now;
    this.#connection.keepAlive();
  }
}

function configFor(options: ClientSettings): Config {
  const transport = { ...options, maxStreams: 0, maxDatagramBytes: MAX_DATAGRAM_BYTES };
  try {
    return new QuicheConfigs({ roots: options.roots, own: options.identity }, transport).forClient();
  } catch (cause) {
    throw new DomainError(
      'malformed',
      'IDENTITY_UNUSABLE',
      'the certificate, key or roots cannot be used for a QUIC connection',
      { cause },
    );
  }
}

/** Makes the client on its socket, which must not stay open when that fails. */
async function opened(socket: UdpSocket, remote: HostPort, make: () => QuicClient): Promise<QuicClient> {
  try {
    await socket.connect(remote);
    return make();
  } catch (cause) {
    await socket.close();
    throw new DomainError('unavailable', 'SERVER_UNREACHABLE', 'the address cannot be used for QUIC', {
      cause,
    });
  }
}

async function resolve(host: string, port: number): Promise<HostPort> {
  if (isIP(host) !== 0) return { host, port };
  try {
    return { host: (await lookup(host)).address, port };
  } catch (cause) {
    throw new DomainError('unavailable', 'SERVER_UNREACHABLE', `the name ${host} does not resolve`, {
      cause,
    });
  }
}
