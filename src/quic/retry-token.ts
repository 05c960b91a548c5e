import { createHmac, timingSafeEqual } from 'node:crypto';

/** How long a client may take between a Retry and its second Initial, milliseconds. */
export const RETRY_TOKEN_LIFETIME_MS = 10_000;
const FORMAT = 1;
const TIME_BYTES = 6;
const MAC_BYTES = 32;
const HEADER_BYTES = 1 + TIME_BYTES + 1;
/** RFC 9000 §17.2: connection ids of version 1 are at most 20 bytes. */
const MAX_CONNECTION_ID_BYTES = 20;

export interface RetryTokenBinding {
  /** Source address of the Initial, without port: a NAT may change the port between two packets. */
  readonly address: string;
  /** The connection id that we chose in the Retry; the client's next Initial must be sent to it. */
  readonly retrySourceId: Uint8Array;
}

export type RetryTokenVerdict =
  | { readonly ok: true; readonly originalDestinationId: Buffer }
  | { readonly ok: false; readonly reason: 'token_malformed' | 'token_forged' | 'token_expired' };

/**
 * Retry tokens that prove, without any state, that a client owns its source address (RFC 9000 §8.1.2).
 * `format (1) ‖ issued-at, Unix ms (6) ‖ length of the original destination id (1) ‖ the id (8–20) ‖ HMAC-SHA-256 (32)`;
 * the HMAC also covers the address and our connection id, so a token is good for one address and one connection id.
 */
export class RetryTokens {
  /** `key`: 32 bytes, the same on every replica behind one address. */
  constructor(
    private readonly key: Uint8Array,
    private readonly lifetimeMs: number = RETRY_TOKEN_LIFETIME_MS,
  ) {}

  issue(originalDestinationId: Uint8Array, binding: RetryTokenBinding, now: number): Buffer {
    const body = Buffer.alloc(HEADER_BYTES + originalDestinationId.length);
    body.writeUInt8(FORMAT, 0);
    body.writeUIntBE(now, 1, TIME_BYTES);
    body.writeUInt8(originalDestinationId.length, 1 + TIME_BYTES);
    body.set(originalDestinationId, HEADER_BYTES);
    return Buffer.concat([body, this.#mac(body, binding)]);
  }

  /** Never throws, whatever the bytes. A token from the future (a replica's clock) is good up to its lifetime ahead. */
  verify(token: Uint8Array, binding: RetryTokenBinding, now: number): RetryTokenVerdict {
    const bytes = Buffer.from(token.buffer, token.byteOffset, token.byteLength);
    if (bytes.length < HEADER_BYTES + MAC_BYTES || bytes[0] !== FORMAT)
      return { ok: false, reason: 'token_malformed' };
    const body = bytes.subarray(0, bytes.length - MAC_BYTES);
    const idLength = body.readUInt8(1 + TIME_BYTES);
    if (idLength > MAX_CONNECTION_ID_BYTES || body.length !== HEADER_BYTES + idLength) {
      return { ok: false, reason: 'token_malformed' };
    }
    if (!timingSafeEqual(this.#mac(body, binding), bytes.subarray(body.length))) {
      return { ok: false, reason: 'token_forged' };
    }
    const age = now - body.readUIntBE(1, TIME_BYTES);
    if (Math.abs(age) > this.lifetimeMs) return { ok: false, reason: 'token_expired' };
    return { ok: true, originalDestinationId: Buffer.from(body.subarray(HEADER_BYTES)) };
  }

  #mac(body: Uint8Array, { address, retrySourceId }: RetryTokenBinding): Buffer {
    return createHmac('sha256', this.key)
      .update('palyra-quic-retry-v1')
      .update(Buffer.from([body.length, retrySourceId.length]))
      .update(body)
      .update(retrySourceId)
      .update(address)
      .digest();
  }
}
