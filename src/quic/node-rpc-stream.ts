import { malformed } from '../errors/domain-error.js';
import { decodeFrameBody, encodeFrame, FrameDecoder } from './frame-codec.js';
import { errorResponseFor, isUnexpected } from './node-rpc-error.js';
import { STREAMING_METHODS, type NodeResponder } from './node-rpc-handler.js';
import { parseNodeRequest, type NodeRequest, type NodeResponse } from './node-rpc-message.js';
import type { QuicConnection } from './quic-connection.js';

/** Codes of RESET_STREAM and STOP_SENDING; they say no more than that the stream is over. */
const STREAM_DONE = 0;
const STREAM_ABORTED = 1;

/** What the streams of one connection share. */
export interface NodeRpcStreamOwner {
  readonly connection: QuicConnection;
  readonly maxFrameBytes: number;
  readonly maxQueuedBytes: number;
  /** Starts the call; returns its cancellation. */
  start(request: NodeRequest, responder: NodeResponder): () => void;
  /** The answer, or what takes its place, has been handed over. */
  onAnswered(stream: NodeRpcStream): void;
  onFailure(error: unknown): void;
}

/** One request and its answer on one bidirectional stream (DESIGN §6). */
export class NodeRpcStream implements NodeResponder {
  readonly #owner: NodeRpcStreamOwner;
  readonly #decoder: FrameDecoder;
  #state: 'reading' | 'answering' | 'answered' = 'reading';
  #inputEnded = false;
  #isOpenEnded = false;
  #cancel: (() => void) | undefined;
  #onDrain: (() => void) | undefined;

  constructor(
    readonly id: number,
    readonly openedAt: number,
    owner: NodeRpcStreamOwner,
  ) {
    this.#owner = owner;
    this.#decoder = new FrameDecoder(owner.maxFrameBytes);
  }

  get isReading(): boolean {
    return this.#state === 'reading';
  }

  /** Whether the answer is still to come. */
  get isAnswering(): boolean {
    return this.#state === 'answering';
  }

  /** Whether the device waits for an answer that will come: not one of a stream of events, which have no end. */
  get isCallInFlight(): boolean {
    return this.#state === 'answering' && !this.#isOpenEnded;
  }

  /** Bytes that the incomplete request has declared and may still make us hold. */
  get declaredBytes(): number {
    return this.#decoder.declaredBytes;
  }

  /** Whether nothing can come or go on this stream any more. */
  get isOver(): boolean {
    if (this.#state !== 'answered') return false;
    return this.#inputEnded || this.#owner.connection.isFinished(this.id);
  }

  /** Reads what has come, as far as it is wanted. */
  readAvailable(): void {
    const { id } = this;
    const { connection } = this.#owner;
    while (!this.#inputEnded) {
      const chunk = connection.read(id);
      if (chunk === undefined) return;
      if (chunk === 'reset') {
        this.#onReset();
        return;
      }
      this.#inputEnded = chunk.fin;
      this.#take(chunk.bytes, chunk.fin);
    }
  }

  /** The request did not become complete in time. */
  expire(): void {
    if (this.#state === 'reading')
      this.fail(malformed('REQUEST_TIMEOUT', 'the request was not complete in time'));
  }

  /** The device has stopped reading, or its connection has ended. */
  abandon(): void {
    this.#state = 'answered';
    this.#stopCall();
    this.#owner.onAnswered(this);
  }

  /** Looks whether the device still waits for the answer; a stopped stream is not reported otherwise until it is written to. */
  checkWanted(): void {
    if (this.#state !== 'answering' || this.#owner.connection.isWanted(this.id)) return;
    this.abandon();
    this.#stopInput();
  }

  drained(): void {
    this.#onDrain?.();
  }

  send(response: NodeResponse): boolean {
    if (this.#state !== 'answering') return false;
    const { id } = this;
    const { connection } = this.#owner;
    const frame = this.#encode(response);
    if (frame === undefined) return false;
    if (connection.queuedBytes(id) + frame.length > this.#owner.maxQueuedBytes) {
      this.#reset();
      return false;
    }
    return connection.write(id, frame, false);
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }

  finish(response: NodeResponse): void {
    if (this.#state !== 'answering') return;
    const frame = this.#encode(response);
    if (frame !== undefined) this.#writeLast(frame);
  }

  end(): void {
    if (this.#state === 'answering') this.#writeLast(Buffer.alloc(0));
  }

  fail(error: unknown): void {
    if (this.#state === 'answered') return;
    if (isUnexpected(error)) this.#owner.onFailure(error);
    this.#writeLast(encodeFrame(errorResponseFor(error)));
  }

  #take(bytes: Buffer, fin: boolean): void {
    if (this.#state === 'answered') return;
    if (this.#state === 'answering') {
      if (bytes.length > 0) this.fail(bytesAfterRequest());
      return;
    }
    try {
      const [body, next] = this.#decoder.push(bytes);
      if (next !== undefined || (body !== undefined && this.#decoder.inFrame)) throw bytesAfterRequest();
      if (body !== undefined) this.#dispatch(parseNodeRequest(decodeFrameBody(body)));
      else if (fin) throw malformed('TRUNCATED_FRAME', 'the stream ended within the request');
    } catch (error) {
      this.fail(error);
    }
  }

  #dispatch(request: NodeRequest): void {
    this.#state = 'answering';
    this.#isOpenEnded = STREAMING_METHODS.has(request.method);
    const cancel = this.#owner.start(request, this);
    // The call may have been answered before `start` came back.
    if (this.isAnswering) this.#cancel = cancel;
    else cancel();
  }

  /** The device gave up its half: without a whole request there is nothing to answer. */
  #onReset(): void {
    this.#inputEnded = true;
    if (this.#state === 'reading') this.#reset();
  }

  #encode(response: NodeResponse): Buffer | undefined {
    try {
      return encodeFrame(response);
    } catch (error) {
      this.#owner.onFailure(error);
      this.fail(error);
      return undefined;
    }
  }

  #writeLast(frame: Buffer): void {
    this.#state = 'answered';
    this.#stopCall();
    this.#owner.connection.write(this.id, frame, true);
    this.#stopInput();
    this.#owner.onAnswered(this);
  }

  #reset(): void {
    this.abandon();
    this.#owner.connection.resetWriting(this.id, STREAM_ABORTED);
    this.#stopInput();
  }

  #stopInput(): void {
    if (!this.#inputEnded) this.#owner.connection.stopReading(this.id, STREAM_DONE);
  }

  #stopCall(): void {
    const cancel = this.#cancel;
    this.#cancel = undefined;
    this.#onDrain = undefined;
    cancel?.();
  }
}

const bytesAfterRequest = (): Error =>
  malformed('BYTES_AFTER_REQUEST', 'a stream carries one request and nothing after it');
