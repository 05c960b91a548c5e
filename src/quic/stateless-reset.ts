import { createHmac, randomBytes } from 'node:crypto';

const TOKEN_BYTES = 16;
/** RFC 9000 §10.3: below 21 bytes a packet could not be told from a valid one. */
const MIN_RESET_BYTES = 21;
const MAX_RESET_BYTES = 43;

/**
 * The token by which a client knows that we have lost its connection (RFC 9000 §10.3.2): derived from the connection id
 * and a static key, so that a process that was killed and started again can still end its clients' connections.
 */
export function statelessResetToken(key: Uint8Array, connectionId: Uint8Array): Buffer {
  return createHmac('sha256', key)
    .update('palyra-quic-stateless-reset-v1')
    .update(connectionId)
    .digest()
    .subarray(0, TOKEN_BYTES);
}

/** The same token as quiche's binding takes it: an unsigned 128-bit integer, first byte highest. */
export function tokenAsInteger(token: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(token).toString('hex')}`);
}

/**
 * A stateless reset in answer to a packet of `receivedBytes`, or undefined when that packet was too short to be answered:
 * the answer is always shorter than what it answers, so two endpoints cannot reset each other for ever (§10.3.3).
 */
export function statelessReset(
  key: Uint8Array,
  connectionId: Uint8Array,
  receivedBytes: number,
  random: (bytes: number) => Buffer = randomBytes,
): Buffer | undefined {
  const length = Math.min(receivedBytes - 1, MAX_RESET_BYTES);
  if (length < MIN_RESET_BYTES) return undefined;
  const packet = random(length);
  packet[0] = ((packet[0] ?? 0) & 0x3f) | 0x40;
  packet.set(statelessResetToken(key, connectionId), length - TOKEN_BYTES);
  return packet;
}
