import { malformed } from '../errors/domain-error.js';
import { encodeFrame, isJsonObject, type JsonObject } from './frame-codec.js';

/** The one version of the node RPC messages that is spoken. */
export const NODE_RPC_VERSION = 1;
/** Longest method name that is looked at. */
const MAX_METHOD_LENGTH = 64;

export interface NodeRequest {
  readonly method: string;
  /** The last event that the device has; 0 for none. */
  readonly resumeFrom: number | undefined;
  readonly params: JsonObject;
}

/** Codes of `error` (DESIGN §6, PROTOCOL "QUIC"). */
export type NodeErrorCode =
  | 'invalid_request'
  | 'protocol_mismatch'
  | 'unsupported_method'
  | 'stream_failure'
  | 'frame_too_large'
  | 'refused';

export type NodeResponseKind = 'health' | 'event' | 'result' | 'error';

export interface NodeResponse {
  readonly protocol_version: number;
  readonly kind: NodeResponseKind;
  readonly ok: boolean;
  readonly seq?: number;
  readonly node_rpc_mtls_required?: true;
  readonly result?: object;
  readonly error?: string;
}

const REQUEST_FIELDS = new Set(['protocol_version', 'method', 'resume_from', 'params']);

/**
 * Checks the fields of a request. Throws a `malformed` DomainError: `PROTOCOL_MISMATCH` for another version (looked at
 * first, so that a later version may have other fields), else the reason of the first field that is wrong.
 */
export function parseNodeRequest(message: JsonObject): NodeRequest {
  if (field(message, 'protocol_version') !== NODE_RPC_VERSION) {
    throw malformed('PROTOCOL_MISMATCH', `protocol_version must be ${NODE_RPC_VERSION}`);
  }
  for (const name of Object.keys(message)) {
    if (!REQUEST_FIELDS.has(name)) {
      throw malformed(
        'UNKNOWN_FIELD',
        'a request has the fields protocol_version, method, resume_from and params only',
      );
    }
  }
  const method = field(message, 'method');
  if (typeof method !== 'string' || method.length === 0 || method.length > MAX_METHOD_LENGTH) {
    throw malformed('INVALID_METHOD', `method must be a text of 1 to ${MAX_METHOD_LENGTH} characters`);
  }
  return { method, resumeFrom: resumeFrom(message), params: params(message) };
}

/** Only own fields count: `__proto__` in a JSON text must not reach what an object inherits. */
function field(message: JsonObject, name: string): unknown {
  return Object.hasOwn(message, name) ? message[name] : undefined;
}

function resumeFrom(message: JsonObject): number | undefined {
  const value = field(message, 'resume_from');
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || Object.is(value, -0)) {
    throw malformed('INVALID_RESUME_FROM', 'resume_from must be a whole number from 0 to 2^53 - 1');
  }
  return value;
}

function params(message: JsonObject): JsonObject {
  const value = field(message, 'params');
  if (value === undefined) return {};
  if (!isJsonObject(value)) throw malformed('INVALID_PARAMS', 'params must be an object');
  return value;
}

/** A request as its frame; the client's half of `parseNodeRequest`. */
export function requestFrame(method: string, options: { resumeFrom?: number; params?: object } = {}): Buffer {
  return encodeFrame({
    protocol_version: NODE_RPC_VERSION,
    method,
    ...(options.resumeFrom === undefined ? {} : { resume_from: options.resumeFrom }),
    ...(options.params === undefined ? {} : { params: options.params }),
  });
}

/** Answer to `node.health`. Client certificates are mandatory on this door and there is no switch for it. */
export function healthResponse(result: object): NodeResponse {
  return {
    protocol_version: NODE_RPC_VERSION,
    kind: 'health',
    ok: true,
    node_rpc_mtls_required: true,
    result,
  };
}

export function resultResponse(result: object): NodeResponse {
  return { protocol_version: NODE_RPC_VERSION, kind: 'result', ok: true, result };
}

/** One event of `node.stream_events`; `seq` is the device's own event sequence. */
export function eventResponse(seq: number, result: object): NodeResponse {
  return { protocol_version: NODE_RPC_VERSION, kind: 'event', ok: true, seq, result };
}

export function errorResponse(code: NodeErrorCode, result?: object): NodeResponse {
  const response = { protocol_version: NODE_RPC_VERSION, kind: 'error', ok: false, error: code } as const;
  return result === undefined ? response : { ...response, result };
}

const RESPONSE_KINDS: ReadonlySet<unknown> = new Set<NodeResponseKind>([
  'health',
  'event',
  'result',
  'error',
]);

/** The client's reading of a response. Unknown fields are let pass, so that a newer server can be talked to. */
export function parseNodeResponse(message: JsonObject): NodeResponse {
  const kind = field(message, 'kind');
  const ok = field(message, 'ok');
  const error = field(message, 'error');
  const seq = field(message, 'seq');
  const result = field(message, 'result');
  const wellFormed =
    field(message, 'protocol_version') === NODE_RPC_VERSION &&
    RESPONSE_KINDS.has(kind) &&
    typeof ok === 'boolean' &&
    (error === undefined || typeof error === 'string') &&
    (seq === undefined || Number.isSafeInteger(seq)) &&
    (result === undefined || isJsonObject(result));
  if (!wellFormed)
    throw malformed('INVALID_RESPONSE', 'the server answered with a message that is no node RPC response');
  return message as unknown as NodeResponse;
}
