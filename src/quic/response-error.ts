import { DomainError, type ErrorKind } from '../errors/domain-error.js';
import type { NodeErrorCode, NodeResponse } from './node-rpc-message.js';

const KIND_OF_CODE: Readonly<Record<NodeErrorCode, ErrorKind>> = {
  invalid_request: 'malformed',
  protocol_mismatch: 'malformed',
  unsupported_method: 'malformed',
  frame_too_large: 'malformed',
  refused: 'wrong_state',
  stream_failure: 'unavailable',
};

const REASON = /^[A-Z][A-Z0-9_]{0,63}$/;
const isCode = (code: string | undefined): code is NodeErrorCode =>
  code !== undefined && code in KIND_OF_CODE;

/**
 * An `ok: false` response as an error. Its `reason` is the server's where there is one, else the error code in upper case;
 * its message is the server's text, which a terminal must not be shown as it stands.
 */
export function responseError(response: NodeResponse): DomainError {
  const { error: code, result } = response;
  const { reason, message, retry_after_ms: wait } = (result ?? {}) as Readonly<Record<string, unknown>>;
  return new DomainError(
    isCode(code) ? KIND_OF_CODE[code] : 'internal',
    typeof reason === 'string' && REASON.test(reason) ? reason : fallbackReason(code),
    typeof message === 'string' ? message : 'the control plane did not answer the call',
    isWait(wait) ? { retryAfterMs: wait } : {},
  );
}

const isWait = (wait: unknown): wait is number => Number.isSafeInteger(wait) && Number(wait) >= 0;

const fallbackReason = (code: string | undefined): string =>
  isCode(code) ? code.toUpperCase() : 'REMOTE_ERROR';
