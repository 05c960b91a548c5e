import { DomainError, type ErrorKind } from '../errors/domain-error.js';
import { errorResponse, type NodeErrorCode, type NodeResponse } from './node-rpc-message.js';

/** Codes that one reason has for itself. */
const CODE_OF_REASON: Readonly<Record<string, NodeErrorCode>> = {
  PROTOCOL_MISMATCH: 'protocol_mismatch',
  UNSUPPORTED_METHOD: 'unsupported_method',
  FRAME_TOO_LARGE: 'frame_too_large',
};

/** One code for each kind of failure; a kind without a row does not compile. */
const CODE_OF_KIND: Readonly<Record<ErrorKind, NodeErrorCode>> = {
  malformed: 'invalid_request',
  unauthenticated: 'refused',
  forbidden: 'refused',
  not_found: 'refused',
  already_exists: 'refused',
  wrong_state: 'refused',
  conflict: 'refused',
  exhausted: 'refused',
  unavailable: 'stream_failure',
  timeout: 'stream_failure',
  corrupt: 'stream_failure',
  internal: 'stream_failure',
};

/** Kinds whose reason and text are the operator's business only. */
const SILENT_KINDS: ReadonlySet<ErrorKind> = new Set<ErrorKind>(['corrupt', 'internal']);

/** The response for a failed call. What is no DomainError is shown as `stream_failure` and nothing else. */
export function errorResponseFor(error: unknown): NodeResponse {
  if (!(error instanceof DomainError)) return errorResponse('stream_failure');
  const code = CODE_OF_REASON[error.reason] ?? CODE_OF_KIND[error.kind];
  if (SILENT_KINDS.has(error.kind)) return errorResponse(code);
  return errorResponse(code, {
    reason: error.reason,
    message: error.message,
    ...(error.retryAfterMs === undefined ? {} : { retry_after_ms: error.retryAfterMs }),
  });
}

/** Whether a failure is one that nobody foresaw, so that it belongs in the log. */
export function isUnexpected(error: unknown): boolean {
  return !(error instanceof DomainError) || SILENT_KINDS.has(error.kind);
}
