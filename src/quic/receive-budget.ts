/** What a connection has moved so far, bytes. */
export interface ConnectionTraffic {
  /** Of all datagrams that came, whatever was in them. */
  readonly received: number;
  /** Of streams, handed on to whoever reads them. */
  readonly read: number;
}

/** `spent`: it has had what one connection may have, and should begin anew; `over`: it goes on all the same. */
export type BudgetVerdict = 'within' | 'spent' | 'over';

/** A client's flights are some 5 KiB; this leaves room to repeat them until the handshake has taken too long. */
const HANDSHAKE_BYTES = 32 * 1024;
/** Of the bound on overhead: what a peer that was told to go may bring until it has gone. */
const GRACE_PART = 4;

/**
 * Judges what a peer has sent beyond what its streams carried: headers, acknowledgements, repetitions, all of which an
 * honest peer needs, some 50 to 130 bytes a call. quiche 0.18 keeps CRYPTO data behind a gap, and connection ids to
 * retire, without bound (CVE-2024-1765, CVE-2024-1410), and each byte that comes in a frame of its own costs it some 25.
 * We cannot see which it was. So the bound is one for the whole life of a connection: whatever grew with what the streams
 * carry, with what we sent or with time, a device could use up for such frames, and do without the rest.
 */
export function judgeBudget(
  traffic: ConnectionTraffic,
  state: {
    /** Whether the TLS handshake is done. */
    readonly established: boolean;
    /** Stream bytes that flow control lets the peer send unread. */
    readonly maxUnreadBytes: number;
    readonly maxOverheadBytes: number;
  },
): BudgetVerdict {
  if (!state.established) return traffic.received > HANDSHAKE_BYTES ? 'over' : 'within';
  const overhead = traffic.received - traffic.read - state.maxUnreadBytes;
  if (overhead > state.maxOverheadBytes + state.maxOverheadBytes / GRACE_PART) return 'over';
  return overhead > state.maxOverheadBytes ? 'spent' : 'within';
}
