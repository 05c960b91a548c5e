import type { NodeCall, NodeRpcHandler } from './node-rpc-handler.js';
import { NodeRpcStream, type NodeRpcStreamOwner } from './node-rpc-stream.js';
import type { QuicConnection } from './quic-connection.js';
import type { QuicSettings } from './quic-settings.js';

export interface NodeRpcStreamsParts {
  readonly connection: QuicConnection;
  readonly device: Omit<NodeCall, 'request'>;
  readonly settings: QuicSettings;
  readonly handler: NodeRpcHandler;
  monotonic(): number;
  /** A call has been answered. */
  onAnswered(): void;
  onFailure(error: unknown): void;
}

/**
 * The request streams of one admitted connection. A call that is answered in the turn in which it came costs nothing
 * beyond its own stream: only those that wait for something are looked at in later turns.
 */
export class NodeRpcStreams {
  readonly #streams = new Map<number, NodeRpcStream>();
  /** Requests that are not complete: they have a time limit, and a share of the bound on unread bytes. */
  readonly #reading = new Set<NodeRpcStream>();
  /** Calls that were not answered by the end of the turn in which they came. */
  readonly #waiting = new Set<NodeRpcStream>();
  #begun: NodeRpcStream[] = [];
  #isDraining = false;
  readonly #owner: NodeRpcStreamOwner;

  constructor(private readonly parts: NodeRpcStreamsParts) {
    const { connection, device, settings, handler } = parts;
    this.#owner = {
      connection,
      maxFrameBytes: settings.maxFrameBytes,
      maxQueuedBytes: settings.maxQueuedResponseBytes,
      start: (request, responder) => handler.handle({ ...device, request }, responder),
      onAnswered: (stream) => {
        this.#forgetIfOver(stream);
        parts.onAnswered();
      },
      onFailure: (error) => {
        parts.onFailure(error);
      },
    };
  }

  /** Reads what has come, ends what took too long, forgets what is over. */
  turn(): void {
    this.#noteWaiting();
    for (const id of this.parts.connection.readable()) {
      if (this.parts.connection.hasEnded) return;
      this.#read(id);
    }
    this.#expire();
    for (const stream of this.#waiting) {
      stream.checkWanted();
      this.#forgetIfOver(stream);
    }
  }

  /** Takes no further request; those that came whole are answered. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Whether a call is under way whose answer is to be waited for. */
  get hasCallsInFlight(): boolean {
    return [...this.#streams.values()].some((stream) => stream.isCallInFlight);
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
    this.#reading.clear();
    this.#waiting.clear();
    this.#begun = [];
  }

  /** Milliseconds until the oldest incomplete request has taken too long. */
  wakeInMs(): number {
    // In the order in which they came, so the first is the oldest.
    const [oldest] = this.#reading;
    if (oldest === undefined) return Number.POSITIVE_INFINITY;
    return oldest.openedAt + this.parts.settings.requestTimeoutMs - this.parts.monotonic();
  }

  #noteWaiting(): void {
    if (this.#begun.length === 0) return;
    for (const stream of this.#begun) if (this.#streams.has(stream.id)) this.#waiting.add(stream);
    this.#begun = [];
  }

  #expire(): void {
    if (this.#reading.size === 0) return;
    const latest = this.parts.monotonic() - this.parts.settings.requestTimeoutMs;
    for (const stream of this.#reading) {
      if (stream.openedAt > latest) return;
      stream.expire();
      this.#reading.delete(stream);
    }
  }

  #read(id: number): void {
    const known = this.#streams.get(id);
    // It stays unread: the close that follows says that the request was not taken.
    if (this.#isDraining && known?.isReading !== false) return;
    // What is left unread stays in quiche, whose flow control then holds the sender back.
    if (known?.isReading !== false && (known?.declaredBytes ?? 0) === 0 && this.#isBudgetSpent()) return;
    const stream = known ?? this.#open(id);
    stream.readAvailable();
    if (!stream.isReading) this.#reading.delete(stream);
    this.#forgetIfOver(stream);
  }

  #isBudgetSpent(): boolean {
    let declared = 0;
    for (const stream of this.#reading) declared += stream.declaredBytes;
    return declared >= this.parts.settings.maxUnreadBytes;
  }

  #open(id: number): NodeRpcStream {
    const stream = new NodeRpcStream(id, this.parts.monotonic(), this.#owner);
    this.#streams.set(id, stream);
    this.#reading.add(stream);
    this.#begun.push(stream);
    return stream;
  }

  #forgetIfOver(stream: NodeRpcStream): void {
    if (!stream.isOver) return;
    this.#streams.delete(stream.id);
    this.#reading.delete(stream);
    this.#waiting.delete(stream);
  }
}
