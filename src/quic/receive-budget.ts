/** What a connection has moved so far, bytes. */
export interface ConnectionTraffic {
  /** Of all datagrams that came, whatever was in them. */
  readonly received: number;
  /** Of all datagrams that were sent. */
  readonly sent: number;
  /** Of streams, handed on to whoever reads them. */
  readonly read: number;
}

/** A client's flights are some 5 KiB; this leaves room for repetitions and a first request that comes with them. */
const HANDSHAKE_BYTES = 64 * 1024;
/** Once the handshake is done: for acknowledgements, padding and probes that no stream accounts for. */
const SPARE_BYTES = 1024 * 1024;
const SPARE_BYTES_A_SECOND = 1024;
/** Every byte of a stream may come twice, and one byte is taken for what acknowledges four. */
const REPETITIONS = 2;
const BYTES_ACKNOWLEDGED_BY_ONE = 4;

/**
 * Whether a peer has sent more than its streams, its handshake and our packets explain. quiche 0.18 keeps CRYPTO data
 * behind a gap, and connection ids to retire, without bound (CVE-2024-1765, CVE-2024-1410); flow control does not see
 * either, so whoever sends much that no stream accounts for is sent away.
 */
export function isOverBudget(
  traffic: ConnectionTraffic,
  state: {
    /** Whether the TLS handshake is done. */
    readonly established: boolean;
    /** Stream bytes that flow control lets the peer send unread. */
    readonly maxUnreadBytes: number;
    readonly ageMs: number;
  },
): boolean {
  if (!state.established) return traffic.received > HANDSHAKE_BYTES;
  const explained =
    REPETITIONS * (traffic.read + state.maxUnreadBytes) + traffic.sent / BYTES_ACKNOWLEDGED_BY_ONE;
  const spare = SPARE_BYTES + (SPARE_BYTES_A_SECOND * state.ageMs) / 1000;
  return traffic.received > explained + spare;
}
