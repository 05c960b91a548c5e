import { DomainError } from '../errors/domain-error.js';
import { decodeFrameBody, FrameDecoder } from './frame-codec.js';
import { parseNodeResponse, type NodeResponse } from './node-rpc-message.js';
import type { QuicConnection } from './quic-connection.js';

const STREAM_CANCELLED = 0;
/** Responses that may wait for the program; beyond, the bytes stay in QUIC and hold the server back. */
const MAX_WAITING_RESPONSES = 64;

type Waiter = {
  readonly resolve: (result: IteratorResult<NodeResponse>) => void;
  readonly reject: (error: Error) => void;
};

/** One request of a client and the responses to it, read by `for await`. */
export class ClientStream implements AsyncIterable<NodeResponse>, AsyncIterator<NodeResponse> {
  readonly #decoder = new FrameDecoder();
  readonly #responses: NodeResponse[] = [];
  #id: number | undefined;
  #waiter: Waiter | undefined;
  readonly #onAbort = (): void => {
    this.#cancel();
    this.abort(new DomainError('timeout', 'CANCELLED', 'the call was cancelled'));
  };
  #outcome: { readonly error: Error | undefined } | undefined;
  #inputEnded = false;
  #cancelled = false;

  constructor(
    private readonly connection: QuicConnection,
    private readonly request: { readonly bytes: Buffer; readonly fin: boolean },
    private readonly signal: AbortSignal | undefined,
  ) {
    if (signal?.aborted === true) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort);
  }

  get isCancelled(): boolean {
    return this.#cancelled;
  }

  get isOver(): boolean {
    return this.#inputEnded || this.#cancelled;
  }

  /** Sends the request on stream `id`. Returns false when the server's limit of streams does not allow one more yet. */
  start(id: number): boolean {
    if (!this.connection.canOpenStream()) return false;
    this.#id = id;
    this.connection.write(id, this.request.bytes, this.request.fin);
    return true;
  }

  readAvailable(): void {
    const id = this.#id;
    while (id !== undefined && !this.isOver && this.#responses.length < MAX_WAITING_RESPONSES) {
      const chunk = this.connection.read(id);
      if (chunk === undefined) return;
      if (chunk === 'reset') {
        this.#inputEnded = true;
        this.abort(new DomainError('unavailable', 'STREAM_RESET', 'the server gave the stream up'));
        return;
      }
      this.#inputEnded = chunk.fin;
      this.#take(chunk.bytes, chunk.fin);
    }
  }

  /** Ends the reading with an error, after the responses that have come. */
  abort(error: Error): void {
    this.#settle(error);
  }

  [Symbol.asyncIterator](): AsyncIterator<NodeResponse> {
    return this;
  }

  async next(): Promise<IteratorResult<NodeResponse>> {
    const response = this.#responses.shift();
    if (response !== undefined) {
      this.connection.mark();
      return { done: false, value: response };
    }
    if (this.#outcome !== undefined) {
      if (this.#outcome.error !== undefined) throw this.#outcome.error;
      return { done: true, value: undefined };
    }
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  async return(): Promise<IteratorResult<NodeResponse>> {
    this.#cancel();
    this.#settle(undefined);
    return Promise.resolve({ done: true, value: undefined });
  }

  #take(bytes: Buffer, fin: boolean): void {
    try {
      for (const body of this.#decoder.push(bytes)) this.#deliver(parseNodeResponse(decodeFrameBody(body)));
      if (!fin) return;
      this.#settle(
        this.#decoder.inFrame
          ? new DomainError('unavailable', 'TRUNCATED_RESPONSE', 'the answer was cut off')
          : undefined,
      );
    } catch (error) {
      this.#cancel();
      this.#settle(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #deliver(response: NodeResponse): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter === undefined) this.#responses.push(response);
    else waiter.resolve({ done: false, value: response });
  }

  #settle(error: Error | undefined): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = { error };
    this.signal?.removeEventListener('abort', this.#onAbort);
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (error === undefined) waiter?.resolve({ done: true, value: undefined });
    else waiter?.reject(error);
  }

  /** Tells the server that nobody reads on. */
  #cancel(): void {
    if (this.#cancelled || this.#inputEnded) return;
    this.#cancelled = true;
    if (this.#id === undefined) return;
    this.connection.stopReading(this.#id, STREAM_CANCELLED);
    if (!this.request.fin) this.connection.resetWriting(this.#id, STREAM_CANCELLED);
  }
}
