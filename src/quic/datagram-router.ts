import quiche from '@matrixai/quic/native/quiche.js';
import { randomBytes } from 'node:crypto';
import { formatHostPort, type HostPort } from '../network/network-address.js';
import type { ConnectionBounds } from './connection-bounds.js';
import {
  OUR_CONNECTION_ID_BYTES,
  QUIC_VERSION_1,
  routePacket,
  versionNegotiationPacket,
  type PacketRoute,
} from './packet-header.js';
import type { QuicEvent } from './quic-observer.js';
import { refusalPacket, TRANSPORT_ERROR } from './refusal-packet.js';
import { RetryTokens } from './retry-token.js';
import { statelessReset } from './stateless-reset.js';

/** What is to be done with a datagram. */
export type DatagramAction =
  /** It belongs to a connection that is known under this key. */
  | { readonly do: 'deliver'; readonly key: string }
  /** Whoever sent it owns its address and may begin a handshake; the datagram is the connection's first. */
  | { readonly do: 'accept'; readonly id: Buffer; readonly originalDestinationId: Buffer }
  /** It is answered, if at all, and kept no memory of. */
  | { readonly do: 'answer'; readonly packet: Buffer | undefined; readonly event: QuicEvent | undefined };

export interface DatagramRouterParts {
  readonly bounds: ConnectionBounds;
  /** 32 bytes each. */
  readonly keys: { readonly retry: Uint8Array; readonly statelessReset: Uint8Array };
  readonly retryTokenLifetimeMs: number;
  /** Whether a connection is known under this key. */
  isKnown(key: string): boolean;
  /** Random bytes, for connection ids and to look like a packet. */
  readonly random?: (bytes: number) => Buffer;
}

type Initial = Extract<PacketRoute, { to: 'new_connection' }>;

/** The key under which a connection with this id, one of ours, is known. */
export const keyOf = (connectionId: Buffer): string => connectionId.toString('latin1');

/**
 * Decides what a datagram is and what it is worth: bytes and time in, an action out. It opens no socket, keeps no
 * connection and sends nothing, so that everything a stranger can reach before the TLS handshake can be tested as a
 * function. Addresses are validated by Retry (RFC 9000 §8.1.2), and a full bound turns an Initial away before TLS is
 * spent on it.
 */
export class DatagramRouter {
  readonly #parts: DatagramRouterParts;
  readonly #tokens: RetryTokens;
  readonly #random: (bytes: number) => Buffer;

  constructor(parts: DatagramRouterParts) {
    this.#parts = parts;
    this.#tokens = new RetryTokens(parts.keys.retry, parts.retryTokenLifetimeMs);
    this.#random = parts.random ?? randomBytes;
  }

  /** `now`: Unix milliseconds. While it is not `accepting`, every Initial is turned away. Never throws, whatever the bytes. */
  route(datagram: Buffer, from: HostPort, now: number, accepting: boolean): DatagramAction {
    // quiche takes no IPv6 zones, so link-local peers cannot be served.
    if (from.host.includes('%')) return dropped('unusable_address');
    const route = routePacket(datagram, (id) => this.#parts.isKnown(keyOf(id)));
    switch (route.to) {
      case 'connection':
        return { do: 'deliver', key: keyOf(route.destinationId) };
      case 'new_connection':
        return this.#greet(route, from, now, accepting);
      case 'version_negotiation':
        return dropped(
          'unknown_version',
          versionNegotiationPacket(route.destinationId, route.sourceId, this.#random(1).readUInt8()),
        );
      case 'stateless_reset':
        return dropped('unknown_connection', this.#reset(route.destinationId, datagram.length));
      case 'nowhere':
        return dropped(route.reason);
    }
  }

  #greet(initial: Initial, from: HostPort, now: number, accepting: boolean): DatagramAction {
    const refusal = accepting ? this.#parts.bounds.handshakeRefusal(from.host) : 'going_away';
    if (refusal !== undefined) {
      const event = {
        event: 'handshake_turned_away',
        reason: refusal,
        remote: formatHostPort(from),
      } as const;
      return { do: 'answer', packet: turnedAway(initial, TRANSPORT_ERROR.connection_refused), event };
    }
    if (initial.token.length === 0) {
      return { do: 'answer', packet: this.#retry(initial, from, now), event: undefined };
    }
    const binding = { address: from.host, retrySourceId: initial.destinationId };
    const verdict = this.#tokens.verify(initial.token, binding, now);
    if (!verdict.ok || initial.destinationId.length !== OUR_CONNECTION_ID_BYTES) {
      const reason = verdict.ok ? 'token_forged' : verdict.reason;
      return dropped(reason, turnedAway(initial, TRANSPORT_ERROR.invalid_token));
    }
    // The datagram's buffer is used again for the next one.
    const id = Buffer.from(initial.destinationId);
    return { do: 'accept', id, originalDestinationId: verdict.originalDestinationId };
  }

  #retry(initial: Initial, to: HostPort, now: number): Buffer {
    const retrySourceId = this.#random(OUR_CONNECTION_ID_BYTES);
    const token = this.#tokens.issue(initial.destinationId, { address: to.host, retrySourceId }, now);
    const out = Buffer.allocUnsafe(256);
    const { sourceId, destinationId } = initial;
    const length = quiche.retry(sourceId, destinationId, retrySourceId, token, QUIC_VERSION_1, out);
    return out.subarray(0, length);
  }

  #reset(destinationId: Buffer, receivedBytes: number): Buffer | undefined {
    return statelessReset(this.#parts.keys.statelessReset, destinationId, receivedBytes, this.#random);
  }
}

type Dropped = Extract<QuicEvent, { event: 'datagram_dropped' }>;

function dropped(reason: Dropped['reason'], packet?: Buffer): DatagramAction {
  return { do: 'answer', packet, event: { event: 'datagram_dropped', reason } };
}

const turnedAway = (initial: Initial, code: number): Buffer =>
  refusalPacket(initial.destinationId, initial.sourceId, code);
