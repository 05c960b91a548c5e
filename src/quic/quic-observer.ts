import type { RefusalReason } from './admission.js';
import type { BoundReason } from './connection-bounds.js';
import type { DropReason } from './packet-header.js';

export type DatagramDrop =
  DropReason | 'token_malformed' | 'token_forged' | 'token_expired' | 'not_processed' | 'unusable_address';

/** What happens at the QUIC door, for log and metrics. Addresses are `host:port`. No secret is in any of it. */
export type QuicEvent =
  | { readonly event: 'datagram_dropped'; readonly reason: DatagramDrop }
  | { readonly event: 'send_failed'; readonly code: string }
  | { readonly event: 'socket_failed'; readonly error: unknown }
  | {
      readonly event: 'handshake_turned_away';
      /** `gave_way`: it was under way, and left its place to an address that had fewer. */
      readonly reason: BoundReason | 'going_away' | 'gave_way';
      readonly remote: string;
    }
  | { readonly event: 'handshake_timed_out'; readonly remote: string }
  /** TLS refused it: `code` is the transport error, 256 + alert for TLS. */
  | { readonly event: 'handshake_failed'; readonly code: number; readonly remote: string }
  | {
      readonly event: 'admitted';
      readonly deviceId: string;
      readonly fingerprint: string;
      readonly remote: string;
    }
  | {
      readonly event: 'refused';
      readonly reason: RefusalReason | BoundReason | 'identity_unreadable' | 'held';
      readonly detail: string;
      readonly deviceId: string | undefined;
      readonly remote: string;
      readonly error?: unknown;
    }
  | {
      readonly event: 'closed';
      readonly deviceId: string | undefined;
      /** Whether the device had been let in. */
      readonly wasAdmitted: boolean;
      readonly by: 'peer' | 'local' | 'timeout';
      readonly code: number | undefined;
      readonly remote: string;
    }
  /** Something that should not happen and that the door survived. */
  | { readonly event: 'failure'; readonly where: string; readonly error: unknown };

/** Must not throw and must not block; what it throws is swallowed. */
export interface QuicObserver {
  observe(event: QuicEvent): void;
}

/** Counts events by `event`, `event.reason` and the like; for metrics and tests. */
export class CountingQuicObserver implements QuicObserver {
  readonly #counts = new Map<string, number>();

  observe(event: QuicEvent): void {
    this.#add(event.event);
    if ('reason' in event) this.#add(`${event.event}.${event.reason}`);
    if ('code' in event && event.code !== undefined) this.#add(`${event.event}.${event.code}`);
  }

  /** `name` as in `refused`, `refused.chain`, `closed.3`, `datagram_dropped.zero_rtt`. */
  count(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  snapshot(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  #add(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }
}
