import { OVERLAP_AFTER_ADMISSION_MS } from '../identity/certificate-succession.js';
import { DEFAULT_CONNECTION_LIMITS, type ConnectionLimits } from './connection-bounds.js';
import { RETRY_TOKEN_LIFETIME_MS } from './retry-token.js';

/** Bounds and timers of the QUIC door (DESIGN §6). Times in milliseconds, sizes in bytes. */
export interface QuicSettings extends ConnectionLimits {
  /** From the first Initial until the connection is admitted. */
  readonly handshakeTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** How long the previous certificate stays admitted once the new one was first admitted (DESIGN §7). */
  readonly overlapMs: number;
  readonly retryTokenLifetimeMs: number;
  /** From the first byte of a request until its frame is complete. */
  readonly requestTimeoutMs: number;
  /** How long a closed connection still answers late packets with its close, and how long `close()` waits for that. */
  readonly drainTimeoutMs: number;
  readonly maxStreams: number;
  /** Unread bytes of a connection: in quiche, and once more in requests that are not complete. */
  readonly maxUnreadBytes: number;
  readonly maxUnreadBytesPerStream: number;
  /** What a connection may bring in its life besides what its streams carry; see `judgeBudget`. */
  readonly maxOverheadBytes: number;
  /** Bytes of responses that may wait on one stream for a slow reader. */
  readonly maxQueuedResponseBytes: number;
  readonly maxFrameBytes: number;
  readonly maxDatagramBytes: number;
  readonly socketBufferBytes: number;
}

export const DEFAULT_QUIC_SETTINGS: QuicSettings = {
  ...DEFAULT_CONNECTION_LIMITS,
  handshakeTimeoutMs: 10_000,
  idleTimeoutMs: 30_000,
  overlapMs: OVERLAP_AFTER_ADMISSION_MS,
  retryTokenLifetimeMs: RETRY_TOKEN_LIFETIME_MS,
  requestTimeoutMs: 30_000,
  drainTimeoutMs: 1_000,
  maxStreams: 32,
  maxUnreadBytes: 1024 * 1024,
  maxUnreadBytesPerStream: 256 * 1024,
  maxOverheadBytes: 2 * 1024 * 1024,
  maxQueuedResponseBytes: 1024 * 1024,
  maxFrameBytes: 512 * 1024,
  maxDatagramBytes: 1350,
  socketBufferBytes: 4 * 1024 * 1024,
};
