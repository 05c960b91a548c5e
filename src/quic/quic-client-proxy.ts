import { ClientProxy, type ReadPacket, type WritePacket } from '@nestjs/microservices';
import { DomainError } from '../errors/domain-error.js';
import { responseError } from './response-error.js';
import { QuicClient, type QuicClientOptions } from './quic-client.js';

/**
 * Nest's client for node RPC: `proxy.send('node.health', params)` is one request on one stream, and the observable gives
 * the `result` of each response. An `ok: false` response is an error, see `responseError`.
 */
export class QuicClientProxy extends ClientProxy {
  #connecting: Promise<QuicClient> | undefined;

  constructor(private readonly options: QuicClientOptions) {
    super();
  }

  /** Connects, or answers with the connection there is; a closed one is made again. */
  async connect(): Promise<QuicClient> {
    const current = this.#connecting;
    if (current !== undefined) {
      const client = await current;
      if (!client.isClosed) return client;
      if (this.#connecting !== current) return this.connect();
    }
    const connecting = QuicClient.connect(this.options);
    this.#connecting = connecting;
    // A failed attempt must not be what every later call gets.
    connecting.catch(() => {
      if (this.#connecting === connecting) this.#connecting = undefined;
    });
    return connecting;
  }

  async close(): Promise<void> {
    const connecting = this.#connecting;
    this.#connecting = undefined;
    const client = await connecting?.catch(() => undefined);
    await client?.close();
  }

  override unwrap(): never {
    throw new Error('use `connect`');
  }

  protected override publish(packet: ReadPacket, callback: (packet: WritePacket) => void): () => void {
    const cancellation = new AbortController();
    this.#run(packet, callback, cancellation.signal).catch((err: unknown) => {
      if (!cancellation.signal.aborted) callback({ err });
    });
    return () => {
      cancellation.abort();
    };
  }

  /** Node RPC has no messages without an answer. */
  protected override dispatchEvent(): Promise<never> {
    return Promise.reject(
      new DomainError('malformed', 'UNSUPPORTED_METHOD', 'node RPC has no events from the client'),
    );
  }

  async #run(
    packet: ReadPacket,
    callback: (packet: WritePacket) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const client = await this.connect();
    const params = packet.data as object | undefined;
    const call = { ...(params === undefined ? {} : { params }), signal };
    for await (const response of client.stream(String(packet.pattern), call)) {
      if (!response.ok) throw responseError(response);
      callback({ response: response.result ?? {} });
    }
    callback({ isDisposed: true });
  }
}
