import type { NodeCall, NodeRpcHandler } from './node-rpc-handler.js';
import { NodeRpcStream } from './node-rpc-stream.js';
import type { QuicConnection } from './quic-connection.js';
import type { QuicSettings } from './quic-settings.js';

export interface NodeRpcStreamsParts {
  readonly connection: QuicConnection;
  readonly device: Omit<NodeCall, 'request'>;
  readonly settings: QuicSettings;
  readonly handler: NodeRpcHandler;
  monotonic(): number;
  onFailure(error: unknown): void;
}

/** The request streams of one admitted connection. */
export class NodeRpcStreams {
  readonly #streams = new Map<number, NodeRpcStream>();

  constructor(private readonly parts: NodeRpcStreamsParts) {}

  /** Reads what has come, ends what took too long, forgets what is over. */
  turn(): void {
    for (const id of this.parts.connection.readable()) {
      if (this.parts.connection.hasEnded) return;
      this.#read(id);
    }
    const now = this.parts.monotonic();
    for (const [id, stream] of this.#streams) {
      if (stream.isReading && now - stream.openedAt >= this.parts.settings.requestTimeoutMs) stream.expire();
      stream.checkWanted();
      if (stream.isOver) this.#streams.delete(id);
    }
  }

  drained(streamId: number): void {
    this.#streams.get(streamId)?.drained();
  }

  stopped(streamId: number): void {
    this.#streams.get(streamId)?.abandon();
  }

  abandon(): void {
    for (const stream of this.#streams.values()) stream.abandon();
    this.#streams.clear();
  }

  /** Milliseconds until the oldest incomplete request has taken too long. */
  wakeInMs(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const stream of this.#streams.values())
      if (stream.isReading) oldest = Math.min(oldest, stream.openedAt);
    return oldest + this.parts.settings.requestTimeoutMs - this.parts.monotonic();
  }

  #read(id: number): void {
    const known = this.#streams.get(id);
    // What is left unread stays in quiche, whose flow control then holds the sender back.
    if (known?.isReading !== false && (known?.declaredBytes ?? 0) === 0 && this.#isBudgetSpent()) return;
    (known ?? this.#open(id)).readAvailable();
  }

  #isBudgetSpent(): boolean {
    let declared = 0;
    for (const stream of this.#streams.values()) declared += stream.declaredBytes;
    return declared >= this.parts.settings.maxUnreadBytes;
  }

  #open(id: number): NodeRpcStream {
    const { connection, device, settings, handler } = this.parts;
    const stream = new NodeRpcStream({
      id,
      connection,
      maxFrameBytes: settings.maxFrameBytes,
      maxQueuedBytes: settings.maxQueuedResponseBytes,
      openedAt: this.parts.monotonic(),
      start: (request, responder) => handler.handle({ ...device, request }, responder),
      onFailure: (error) => {
        this.parts.onFailure(error);
      },
    });
    this.#streams.set(id, stream);
    return stream;
  }
}
