import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { DomainError, type ErrorKind } from '../errors/domain-error.js';
import type { Any } from '../generated/google/protobuf/any.js';
import { ErrorInfo, RetryInfo } from '../generated/google/rpc/error_details.js';
import { Status } from '../generated/google/rpc/status.js';

/** The one place where a gRPC status is chosen. A kind without a row does not compile. */
const STATUS_OF_KIND: Readonly<Record<ErrorKind, status>> = {
  malformed: status.INVALID_ARGUMENT,
  unauthenticated: status.UNAUTHENTICATED,
  forbidden: status.PERMISSION_DENIED,
  not_found: status.NOT_FOUND,
  already_exists: status.ALREADY_EXISTS,
  wrong_state: status.FAILED_PRECONDITION,
  conflict: status.ABORTED,
  exhausted: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  timeout: status.DEADLINE_EXCEEDED,
  corrupt: status.DATA_LOSS,
  internal: status.INTERNAL,
};

/** What a caller is told of a failure that nobody foresaw. */
export const INTERNAL_TEXT = 'internal error; the log of the server has the details';

const ERROR_DOMAIN = 'palyra';
const STATUS_DETAILS = 'grpc-status-details-bin';

/**
 * What a failed call answers: status, public text and, in `grpc-status-details-bin`, `google.rpc.ErrorInfo` with the
 * reason and `RetryInfo` when there is a time after which to try again. Anything but a `DomainError` is INTERNAL.
 */
export function toStatus(error: unknown): StatusObject {
  const known = publicError(error);
  const code = STATUS_OF_KIND[known.kind];
  // grpc-js percent-encodes the text and throws on a lone surrogate.
  const message = known.message.toWellFormed();
  const metadata = new Metadata();
  metadata.set(STATUS_DETAILS, statusDetails(code, message, known));
  return { code, details: message, metadata };
}

/** The error that a caller may see for `error`. */
export function publicError(error: unknown): DomainError {
  return error instanceof DomainError && error.kind !== 'internal'
    ? error
    : new DomainError('internal', 'INTERNAL', INTERNAL_TEXT, { cause: error });
}

function statusDetails(code: status, message: string, error: DomainError): Buffer {
  const info = ErrorInfo.encode({ reason: error.reason, domain: ERROR_DOMAIN, metadata: {} }).finish();
  const details = [packed('google.rpc.ErrorInfo', info)];
  if (error.retryAfterMs !== undefined) {
    details.push(packed('google.rpc.RetryInfo', encodeRetryInfo(error.retryAfterMs)));
  }
  return Buffer.from(Status.encode({ code, message, details }).finish());
}

function encodeRetryInfo(milliseconds: number): Uint8Array {
  const whole = Math.max(0, Math.ceil(milliseconds));
  const retryDelay = { seconds: BigInt(Math.floor(whole / 1_000)), nanos: (whole % 1_000) * 1_000_000 };
  return RetryInfo.encode({ retryDelay }).finish();
}

function packed(type: string, value: Uint8Array): Any {
  return { typeUrl: `type.googleapis.com/${type}`, value: Buffer.from(value) };
}
