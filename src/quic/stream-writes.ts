import type { Connection } from '@matrixai/quic/native/types.js';

interface PendingWrite {
  readonly chunks: Buffer[];
  bytes: number;
  fin: boolean;
}

export interface StreamWriteEvents {
  drained(streamId: number): void;
  stopped(streamId: number): void;
}

/**
 * What streams want to send and quiche has not taken yet: it takes as much as flow control and congestion allow, and the
 * rest waits here, in order.
 */
export class StreamWrites {
  readonly #pending = new Map<number, PendingWrite>();

  constructor(
    private readonly native: Pick<Connection, 'streamSend'>,
    private readonly events: StreamWriteEvents,
  ) {}

  /** Returns whether all of it was taken at once. */
  write(streamId: number, bytes: Buffer, fin: boolean): boolean {
    const pending = this.#pending.get(streamId);
    if (pending !== undefined) {
      pending.chunks.push(bytes);
      pending.bytes += bytes.length;
      pending.fin ||= fin;
      return false;
    }
    const taken = this.#send(streamId, bytes, fin);
    if (taken === 'stopped') {
      this.events.stopped(streamId);
      return false;
    }
    if (isAllTaken(taken, bytes)) return true;
    const rest = bytes.subarray(taken ?? 0);
    this.#pending.set(streamId, { chunks: [rest], bytes: rest.length, fin });
    return false;
  }

  /** Offers the waiting bytes again; for each turn in which flow control may have opened. */
  retry(): void {
    for (const [streamId, pending] of this.#pending) this.#retryStream(streamId, pending);
  }

  get isEmpty(): boolean {
    return this.#pending.size === 0;
  }

  queuedBytes(streamId: number): number {
    return this.#pending.get(streamId)?.bytes ?? 0;
  }

  forget(streamId: number): void {
    this.#pending.delete(streamId);
  }

  clear(): void {
    this.#pending.clear();
  }

  #retryStream(streamId: number, pending: PendingWrite): void {
    for (let chunk = pending.chunks[0]; chunk !== undefined; chunk = pending.chunks[0]) {
      const taken = this.#send(streamId, chunk, pending.fin && pending.chunks.length === 1);
      if (taken === 'stopped') {
        this.#pending.delete(streamId);
        this.events.stopped(streamId);
        return;
      }
      pending.bytes -= taken ?? 0;
      if (!isAllTaken(taken, chunk)) {
        pending.chunks[0] = chunk.subarray(taken ?? 0);
        return;
      }
      pending.chunks.shift();
    }
    this.#pending.delete(streamId);
    this.events.drained(streamId);
  }

  /** Bytes taken; null when the stream may send nothing now. */
  #send(streamId: number, bytes: Buffer, fin: boolean): number | null | 'stopped' {
    try {
      return this.native.streamSend(streamId, bytes, fin);
    } catch {
      return 'stopped';
    }
  }
}

/** quiche answers "done" for an empty chunk too when the stream is blocked, and then its FIN was not taken either. */
function isAllTaken(taken: number | null, bytes: Buffer): boolean {
  return taken !== null && taken === bytes.length;
}
