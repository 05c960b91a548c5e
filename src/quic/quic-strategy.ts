import { Server, type CustomTransportStrategy, type MessageHandler } from '@nestjs/microservices';
import type { Observable, Subscription } from 'rxjs';
import { malformed } from '../errors/domain-error.js';
import type { HostPort } from '../network/network-address.js';
import { isJsonObject, type JsonObject } from './frame-codec.js';
import {
  STREAMING_METHODS,
  type NodeCall,
  type NodeResponder,
  type NodeRpcHandler,
} from './node-rpc-handler.js';
import { eventResponse, healthResponse, resultResponse } from './node-rpc-message.js';
import { type AnswerStream, QuicContext } from './quic-context.js';
import type { QuicEndpoint } from './quic-endpoint.js';
import { serveWithConnectionLimit } from './serve-with-connection-limit.js';
import { QUIC } from './transport-id.js';

export interface QuicStrategyOptions {
  /** Makes the endpoint around the strategy, which serves its calls. */
  readonly endpoint: (handler: NodeRpcHandler) => QuicEndpoint;
  readonly listen: HostPort;
  readonly maxConnections?: number;
  /** How long calls in flight may go on once the door closes, milliseconds; not at all when left out. */
  readonly shutdownGraceMs?: number;
}

/**
 * Nest's transport for node RPC: handlers are `@MessagePattern('node.…', QUIC)` methods of ordinary controllers, and the
 * guards, pipes, interceptors and filters of the application run on them (with `inheritAppConfig: true`).
 */
export class QuicStrategy extends Server implements CustomTransportStrategy, NodeRpcHandler {
  override readonly transportId = QUIC;
  readonly endpoint: QuicEndpoint;

  constructor(private readonly options: QuicStrategyOptions) {
    super();
    this.endpoint = options.endpoint(this);
  }

  /** Where the door is open; undefined before it listens. */
  get address(): HostPort | undefined {
    return this.endpoint.address;
  }

  /** Names of the methods that have a handler; for the start-up check against the table of who may call what. */
  get methods(): readonly string[] {
    return [...this.messageHandlers.keys()];
  }

  listen(callback: (error?: unknown) => void): void {
    serveWithConnectionLimit(this.endpoint, this.options.maxConnections, this.options.listen).then(() => {
      callback();
    }, callback);
  }

  async close(): Promise<void> {
    await this.endpoint.close(this.options.shutdownGraceMs);
  }

  /** There are no events to listen to; what happens at the door goes to the endpoint's observer. */
  override on(): void {
    throw new Error('the QUIC transport has no events');
  }

  /** The endpoint has its own property, with its type. */
  override unwrap(): never {
    throw new Error('use `endpoint`');
  }

  handle(call: NodeCall, responder: NodeResponder): () => void {
    const handler = this.messageHandlers.get(call.request.method);
    if (handler === undefined || handler.isEventHandler === true) {
      responder.fail(malformed('UNSUPPORTED_METHOD', 'there is no such method'));
      return () => undefined;
    }
    const run = new HandlerRun(call, responder);
    void this.#start(handler, run);
    return () => {
      run.cancel();
    };
  }

  async #start(handler: MessageHandler, run: HandlerRun): Promise<void> {
    try {
      const answer: unknown = await handler(run.params, run.context);
      run.follow(this.transformToObservable<unknown>(answer));
    } catch (error) {
      run.fail(error);
    }
  }
}

/** One call of a handler: its values become responses. */
class HandlerRun implements AnswerStream {
  readonly context: QuicContext;
  #subscription: Subscription | undefined;
  #last: unknown;
  #ended: AbortController | undefined;
  #isCancelled = false;
  #isBlocked = false;
  #unblock: (() => void) | undefined;

  constructor(
    private readonly call: NodeCall,
    private readonly responder: NodeResponder,
  ) {
    this.context = new QuicContext(call, this);
  }

  /** Made when somebody asks: most calls are over before anybody could. */
  get signal(): AbortSignal {
    if (this.#ended === undefined) {
      this.#ended = new AbortController();
      if (this.#isCancelled) this.#ended.abort();
    }
    return this.#ended.signal;
  }

  writable(): Promise<void> {
    if (!this.#isBlocked || this.#isCancelled) return Promise.resolve();
    return new Promise((resolve) => {
      this.#unblock = resolve;
    });
  }

  sendEvent(seq: number, content: JsonObject): void {
    if (this.#isCancelled || this.responder.send(eventResponse(seq, content))) return;
    this.#isBlocked = true;
    this.responder.onDrain(() => {
      this.#isBlocked = false;
      this.#unblock?.();
    });
  }

  get params(): object {
    return this.call.request.params;
  }

  follow(values: Observable<unknown>): void {
    if (this.#isCancelled) return;
    const isStreaming = STREAMING_METHODS.has(this.call.request.method);
    this.#subscription = values.subscribe({
      next: (value) => {
        if (isStreaming) this.#sendEvent(value);
        else this.#last = value;
      },
      error: (error: unknown) => {
        this.fail(error);
      },
      complete: () => {
        if (isStreaming) this.responder.end();
        else this.#finish();
      },
    });
  }

  fail(error: unknown): void {
    if (!this.#isCancelled) this.responder.fail(error);
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#ended?.abort();
    this.#unblock?.();
    this.#subscription?.unsubscribe();
  }

  #finish(): void {
    const result = isJsonObject(this.#last) ? this.#last : {};
    this.responder.finish(
      this.call.request.method === 'node.health' ? healthResponse(result) : resultResponse(result),
    );
  }

  #sendEvent(value: unknown): void {
    const event: JsonObject = isJsonObject(value) ? value : {};
    const { seq, ...content } = event;
    if (typeof seq !== 'number') {
      this.fail(new TypeError('an event of a stream must have a sequence number'));
      return;
    }
    this.sendEvent(seq, content);
  }
}
