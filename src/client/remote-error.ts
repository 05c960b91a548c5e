import type { ServiceError } from '@grpc/grpc-js';
import { ErrorInfo, RetryInfo } from '../generated/google/rpc/error_details.js';
import { Status } from '../generated/google/rpc/status.js';

/** gRPC status codes by their number. */
const CODES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;
export type RemoteCode = (typeof CODES)[number];

const DETAILS_KEY = 'grpc-status-details-bin';
const REASON = /^[A-Z][A-Z0-9_]{0,63}$/;

/** What the server answered instead of a result. `message` is the server's text: make it safe before a terminal sees it. */
export class RemoteError extends Error {
  constructor(
    readonly code: RemoteCode,
    /** UPPER_SNAKE word of `google.rpc.ErrorInfo`; the code's own name when the answer carried none. */
    readonly reason: string,
    message: string,
    /** When to try again, milliseconds; `undefined` when the answer did not say. */
    readonly retryAfterMs: number | undefined,
    options: { readonly cause?: unknown } = {},
  ) {
    super(message, options);
    this.name = 'RemoteError';
  }
}

/** Reads `google.rpc.Status` with `ErrorInfo` and `RetryInfo` out of a failed call; damaged details count as none. */
export function remoteError(error: ServiceError): RemoteError {
  const code = CODES.at(error.code) ?? 'UNKNOWN';
  const details = readDetails(error);
  return new RemoteError(code, details.reason ?? code, error.details, details.retryAfterMs, { cause: error });
}

interface Details {
  readonly reason: string | undefined;
  readonly retryAfterMs: number | undefined;
}

function readDetails(error: ServiceError): Details {
  // An error that never left this process has no metadata, whatever the type says.
  const metadata = error.metadata as ServiceError['metadata'] | undefined;
  const raw = metadata?.get(DETAILS_KEY)[0];
  if (!Buffer.isBuffer(raw)) return { reason: undefined, retryAfterMs: undefined };
  try {
    return decodeDetails(raw);
  } catch {
    return { reason: undefined, retryAfterMs: undefined };
  }
}

function decodeDetails(raw: Buffer): Details {
  let reason: string | undefined;
  let retryAfterMs: number | undefined;
  for (const detail of Status.decode(raw).details) {
    if (detail.typeUrl.endsWith('/google.rpc.ErrorInfo')) reason = readReason(detail.value);
    if (detail.typeUrl.endsWith('/google.rpc.RetryInfo')) retryAfterMs = readRetryAfter(detail.value);
  }
  return { reason, retryAfterMs };
}

function readReason(bytes: Uint8Array): string | undefined {
  const info = ErrorInfo.decode(bytes);
  return info.domain === 'palyra' && REASON.test(info.reason) ? info.reason : undefined;
}

function readRetryAfter(bytes: Uint8Array): number | undefined {
  const delay = RetryInfo.decode(bytes).retryDelay;
  return delay === undefined ? undefined : Number(delay.seconds) * 1000 + Math.ceil(delay.nanos / 1_000_000);
}
