import type { HostPort } from '../network/network-address.js';
import type { NodeRequest, NodeResponse } from './node-rpc-message.js';

/** Methods that are answered with events until the device has enough: they never end by themselves. */
export const STREAMING_METHODS: ReadonlySet<string> = new Set(['node.stream_events']);

/** A request of an admitted device. */
export interface NodeCall {
  readonly deviceId: string;
  /** SHA-256 of the certificate's DER, lower-case hex. */
  readonly fingerprint: string;
  readonly remote: HostPort;
  readonly request: NodeRequest;
}

/** Where the answer to one call goes. After `finish` or `fail`, or once the device has gone, all of it does nothing. */
export interface NodeResponder {
  /**
   * Sends one of several responses. Returns false when the reader is slow: go on after `onDrain`. A stream whose reader
   * leaves more than the bound of the settings waiting is reset.
   */
  send(response: NodeResponse): boolean;
  /** Called each time all that waited has been taken. */
  onDrain(callback: () => void): void;
  /** Sends the last response. */
  finish(response: NodeResponse): void;
  /** Ends a stream of responses without another one. */
  end(): void;
  /** Answers with the error code that belongs to `error`; what is no DomainError is logged and not shown. */
  fail(error: unknown): void;
}

/** Port from the QUIC door to whatever serves the methods; the Nest strategy implements it. */
export interface NodeRpcHandler {
  /** Starts the call. The returned function is called once when nobody waits for an answer any more. Never throws. */
  handle(call: NodeCall, responder: NodeResponder): () => void;
}
