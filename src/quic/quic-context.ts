import type { JsonObject } from './frame-codec.js';
import type { NodeCall } from './node-rpc-handler.js';

/** The way back to the device, for handlers that answer with a stream. */
export interface AnswerStream {
  /** Aborted once nobody waits for an answer any more. */
  readonly signal: AbortSignal;
  /** Resolves when the reader has taken what was sent, or nobody reads any more; at once when nothing waits. */
  writable(): Promise<void>;
  /** Sends an event at once, past what the handler returns. */
  sendEvent(seq: number, content: JsonObject): void;
}

/** What handlers, guards and filters of node RPC get as context: who calls, from where, and which method. */
export class QuicContext {
  constructor(
    private readonly call: NodeCall,
    readonly answer: AnswerStream,
  ) {}

  /** Canonical ULID; proven by the certificate and admitted by the registry. */
  get deviceId(): string {
    return this.call.deviceId;
  }

  /** SHA-256 of the certificate's DER, lower-case hex. */
  get fingerprint(): string {
    return this.call.fingerprint;
  }

  get remoteAddress(): string {
    return this.call.remote.host;
  }

  get method(): string {
    return this.call.request.method;
  }

  /** The last event that the device has; undefined when it did not say. */
  get resumeFrom(): number | undefined {
    return this.call.request.resumeFrom;
  }

  /** As Nest's own contexts have it: the whole context is the one argument. */
  getArgs(): [NodeCall] {
    return [this.call];
  }

  getArgByIndex(index: number): unknown {
    return this.getArgs()[index];
  }
}
