import quiche from '@matrixai/quic/native/quiche.js';
import type { Shutdown } from '@matrixai/quic/native/types.js';
import type { HostPort } from '../network/network-address.js';
import type { ConnectionTraffic } from './receive-budget.js';
import { carryBallast, ENDED_CONNECTION, type NativeConnection } from './native-connection.js';
import { StreamWrites } from './stream-writes.js';
import type { TurnQueue } from './turn-queue.js';

/** How a connection came to its end. */
export interface ConnectionEnd {
  readonly by: 'peer' | 'local' | 'timeout';
  /** Whether `code` is one of the application (PROTOCOL "QUIC") or of the transport (256 + alert for TLS). */
  readonly application: boolean;
  readonly code: number | undefined;
}

/** Who a connection belongs to. None of these may throw. */
export interface ConnectionOwner {
  /** The TLS handshake is done, and nothing has been read from a stream. */
  onEstablished(): void;
  /** Once in each turn while the connection lives, before packets are sent. */
  onTurn(): void;
  /** All that was queued on the stream has been taken by quiche. */
  onStreamDrained(streamId: number): void;
  /** The peer wants no more of the stream, or it is gone. */
  onStreamStopped(streamId: number): void;
  /** The connection has ended: nothing is read or sent any more. Once. */
  onEnded(end: ConnectionEnd): void;
  /** Late packets need no answer any more: the connection id can be forgotten. Once. */
  onGone(): void;
  /** Milliseconds until the owner wants a turn, though no packet comes; undefined for never. */
  wakeInMs(): number | undefined;
}

export interface ConnectionParts {
  readonly native: NativeConnection;
  readonly local: HostPort;
  readonly turns: TurnQueue;
  /** Sends a datagram; must not throw. The buffer is handed over. */
  send(packet: Buffer, to: HostPort): void;
  /** Called before each datagram that is taken while the handshake is not done; must not throw. */
  beforeHandshakeStep?(): void;
  monotonic(): number;
}

/** `bytes` live in a buffer that the next read overwrites. */
export interface StreamChunk {
  readonly bytes: Buffer;
  readonly fin: boolean;
}

/** Timers are cut to this, so that steps of the wall clock are noticed within half a minute. */
const MAX_SLEEP_MS = 30_000;
/** Shared by all: what quiche writes into it is copied before anything else happens. */
const SEND_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);
const NO_REASON = new Uint8Array(0);
const NOTHING: readonly number[] = [];

/**
 * One connection on the native binding: packets in and out, its one timer, what its streams could not send yet. Used by
 * endpoint and client alike. No method throws for what a peer may do.
 */
export class QuicConnection {
  readonly #parts: Omit<ConnectionParts, 'native'>;
  #native: NativeConnection;
  readonly #writes: StreamWrites;
  #owner: ConnectionOwner | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerDue = Number.POSITIVE_INFINITY;
  #established = false;
  #end: ConnectionEnd | undefined;
  #gone = false;
  #closePacket: { readonly bytes: Buffer; readonly to: HostPort } | undefined;
  #packetsWhileClosing = 0;
  #from: HostPort | undefined;
  readonly #traffic = { received: 0, read: 0 };

  constructor({ native, ...parts }: ConnectionParts) {
    this.#parts = parts;
    this.#native = native;
    carryBallast(native);
    const streamSend = (id: number, bytes: Uint8Array, fin: boolean): number | null =>
      this.#native.streamSend(id, bytes, fin);
    this.#writes = new StreamWrites(
      { streamSend },
      {
        drained: (streamId) => this.#owner?.onStreamDrained(streamId),
        stopped: (streamId) => this.#owner?.onStreamStopped(streamId),
      },
    );
  }

  /** Must be called before anything else. */
  attach(owner: ConnectionOwner): void {
    this.#owner = owner;
  }

  get isEstablished(): boolean {
    return this.#established;
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Bytes moved so far, forged datagrams included. */
  get traffic(): ConnectionTraffic {
    return this.#traffic;
  }

  /** As `traffic`, of packets alone that the peer has protected with the connection's keys. Costs more. */
  authenticTraffic(): ConnectionTraffic {
    return { ...this.#traffic, received: this.#native.stats().recvBytes };
  }

  /** Whether TLS skipped the certificates because of a ticket; never expected, and never admitted. */
  get isResumed(): boolean {
    return this.#native.isResumed();
  }

  /** The peer's certificates, DER, leaf first; empty when it showed none. */
  peerChain(): Buffer[] {
    return (this.#native.peerCertChain() ?? []).map((der) => Buffer.from(der));
  }

  /** Takes a datagram. Answers false when quiche could not process it, which damaged and forged ones bring about. */
  receive(datagram: Buffer, from: HostPort): boolean {
    if (this.#end !== undefined) {
      this.#answerWhileClosing();
      return false;
    }
    let processed = true;
    this.#traffic.received += datagram.length;
    this.#notePath(from);
    if (!this.#established) this.#parts.beforeHandshakeStep?.();
    try {
      this.#native.recv(datagram, { from, to: this.#parts.local });
    } catch {
      // After a fatal error quiche has its CONNECTION_CLOSE ready; the coming turn sends it.
      processed = false;
    }
    this.#noteProgress();
    this.#parts.turns.mark(this);
    return processed;
  }

  /** Asks for a turn, for what the owner wants to write or has changed. */
  mark(): void {
    this.#parts.turns.mark(this);
  }

  turn(): void {
    if (this.#gone) return;
    if (this.#parts.monotonic() >= this.#timerDue) this.#clearTimer();
    // quiche looks at the time itself; a call before any of its timers is due does nothing.
    this.#native.onTimeout();
    if (this.#end === undefined) this.#owner?.onTurn();
  }

  /** Sends all that may be sent now, and sees to the timer. */
  flush(): void {
    if (this.#gone) return;
    if (this.#end === undefined) this.#writes.retry();
    this.#sendPackets();
    this.#noteEnd();
    if (this.#native.isClosed()) this.#forget();
    else if (this.#end === undefined) this.#armTimer();
    else this.#letGo();
  }

  /** Streams that have something to read. */
  readable(): Iterable<number> {
    // The list is an object of the binding with a finaliser; most packets only acknowledge, and leave nothing to read.
    return this.#native.isReadable() ? this.#native.readable() : NOTHING;
  }

  /** The next bytes of a stream; undefined when there are none now, `'reset'` when the peer has given it up. */
  read(streamId: number): StreamChunk | 'reset' | undefined {
    try {
      const read = this.#native.streamRecv(streamId, READ_BUFFER);
      if (read === null) return undefined;
      this.#traffic.read += read[0];
      return { bytes: READ_BUFFER.subarray(0, read[0]), fin: read[1] };
    } catch {
      return 'reset';
    }
  }

  /** Queues bytes; they leave with this turn's packets, or the coming one's. Returns false when some have to wait for the reader. */
  write(streamId: number, bytes: Buffer, fin: boolean): boolean {
    this.#parts.turns.markToFlush(this);
    return this.#writes.write(streamId, bytes, fin);
  }

  /** Whether quiche has taken all that was written. */
  get hasWrittenAll(): boolean {
    return this.#writes.isEmpty;
  }

  queuedBytes(streamId: number): number {
    return this.#writes.queuedBytes(streamId);
  }

  /** Wants nothing more of what the peer sends on the stream (STOP_SENDING). */
  stopReading(streamId: number, code: number): void {
    this.#shutdown(streamId, quiche.Shutdown.Read, code);
  }

  /** Gives up the sending half of the stream (RESET_STREAM). */
  resetWriting(streamId: number, code: number): void {
    this.#writes.forget(streamId);
    this.#shutdown(streamId, quiche.Shutdown.Write, code);
  }

  /** Whether the peer's limit allows us one more bidirectional stream. */
  canOpenStream(): boolean {
    return this.#native.peerStreamsLeftBidi() > 0;
  }

  /** Whether the peer has ended the stream and all of it was read, or the stream is gone. */
  isFinished(streamId: number): boolean {
    return this.#native.streamFinished(streamId);
  }

  /** Whether the peer still wants what we send on the stream. */
  isWanted(streamId: number): boolean {
    try {
      this.#native.streamCapacity(streamId);
      return true;
    } catch {
      return false;
    }
  }

  /** Makes the peer answer, so that neither side counts the connection as idle. */
  keepAlive(): void {
    try {
      this.#native.sendAckEliciting();
    } catch {
      return;
    }
    this.#parts.turns.markToFlush(this);
  }

  /** Ends the connection and sends the close at once, not with the next turn. Further calls do nothing. */
  close(application: boolean, code: number): void {
    if (this.#end !== undefined) return;
    try {
      this.#native.close(application, code, NO_REASON);
    } catch {
      // Already closing by itself; the end is noted below either way.
    }
    this.#ended({ by: 'local', application, code });
    this.flush();
  }

  /** Drops the connection without a word; for the end of the process. */
  abandon(): void {
    this.#ended({ by: 'local', application: false, code: undefined });
    this.#forget();
  }

  #shutdown(streamId: number, direction: Shutdown, code: number): void {
    try {
      this.#native.streamShutdown(streamId, direction, code);
    } catch {
      // The stream is gone already.
    }
    this.#parts.turns.markToFlush(this);
  }

  /** A NAT may move a peer to another port; quiche keeps a list of such events, which nobody else empties. */
  #notePath(from: HostPort): void {
    if (this.#from?.port === from.port && this.#from.host === from.host) return;
    this.#from = from;
    try {
      while (isPresent(this.#native.pathEventNext()));
    } catch {
      // The list is empty.
    }
  }

  #noteProgress(): void {
    if (!this.#established && this.#native.isEstablished()) {
      this.#established = true;
      this.#owner?.onEstablished();
    }
    this.#noteEnd();
  }

  #noteEnd(): void {
    if (this.#end === undefined && (this.#native.isDraining() || this.#native.isClosed())) {
      this.#ended(this.#nativeEnd());
    }
  }

  #nativeEnd(): ConnectionEnd {
    const peer = this.#native.peerError();
    if (peer !== null) return { by: 'peer', application: peer.isApp, code: peer.errorCode };
    const local = this.#native.localError();
    if (local !== null) return { by: 'local', application: local.isApp, code: local.errorCode };
    // Neither side said why: idle, never answered, or a stateless reset.
    return { by: this.#native.isTimedOut() ? 'timeout' : 'peer', application: false, code: undefined };
  }

  #ended(end: ConnectionEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#writes.clear();
    this.#owner?.onEnded(end);
  }

  #sendPackets(): void {
    for (;;) {
      let sent: ReturnType<NativeConnection['send']>;
      try {
        sent = this.#native.send(SEND_BUFFER);
      } catch {
        return;
      }
      if (sent === null) return;
      const packet = Buffer.allocUnsafe(sent[0]);
      SEND_BUFFER.copy(packet, 0, 0, packet.length);
      if (this.#end?.by === 'local') this.#closePacket = { bytes: packet, to: sent[1].to };
      this.#parts.send(packet, sent[1].to);
    }
  }

  /** RFC 9000 §10.2.1: while closing, packets are answered with the close again, ever more rarely. */
  #answerWhileClosing(): void {
    this.#packetsWhileClosing += 1;
    const isPowerOfTwo = (this.#packetsWhileClosing & (this.#packetsWhileClosing - 1)) === 0;
    if (this.#closePacket === undefined || !isPowerOfTwo || this.#gone) return;
    this.#parts.send(Buffer.from(this.#closePacket.bytes), this.#closePacket.to);
  }

  #armTimer(): void {
    const native = this.#native.timeout() ?? MAX_SLEEP_MS;
    const owner = this.#owner?.wakeInMs() ?? MAX_SLEEP_MS;
    const wait = Math.max(0, Math.min(native, owner, MAX_SLEEP_MS)) + 1;
    const due = this.#parts.monotonic() + wait;
    // A timer that fires too early only looks and is set again: cheaper than a new one for every packet.
    if (this.#timer !== undefined && this.#timerDue <= due) return;
    this.#clearTimer();
    this.#timerDue = due;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#timerDue = Number.POSITIVE_INFINITY;
      this.#parts.turns.mark(this);
    }, wait);
  }

  #clearTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerDue = Number.POSITIVE_INFINITY;
  }

  /**
   * An ended connection has sent all that it will. Of it only the last packet and the ids are kept, as long as packets may
   * come late (RFC 9000 §10.2): what quiche holds, a stranger may have made large.
   */
  #letGo(): void {
    if (this.#native === ENDED_CONNECTION) return;
    const wait = this.#native.timeout() ?? 0;
    this.#dropNative();
    this.#clearTimer();
    this.#timer = setTimeout(
      () => {
        this.#forget();
      },
      Math.min(wait, MAX_SLEEP_MS),
    );
  }

  #forget(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#dropNative();
    this.#clearTimer();
    this.#owner?.onGone();
  }

  #dropNative(): void {
    if (this.#native === ENDED_CONNECTION) return;
    carryBallast(this.#native, this.#traffic.received - this.#traffic.read);
    this.#native = ENDED_CONNECTION;
  }
}

/** quiche's binding answers null for nothing, whatever its types say. */
const isPresent = (value: object | null): boolean => value !== null;
