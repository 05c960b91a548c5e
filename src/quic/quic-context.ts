import type { NodeCall } from './node-rpc-handler.js';

/** What handlers, guards and filters of node RPC get as context: who calls, from where, and which method. */
export class QuicContext {
  constructor(private readonly call: NodeCall) {}

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
