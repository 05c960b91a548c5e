/** RFC 9000; the only version that is spoken. */
export const QUIC_VERSION_1 = 0x00000001;
/** Length of every connection id that we choose; short headers do not say it. */
export const OUR_CONNECTION_ID_BYTES = 20;
/** RFC 9000 §14.1: a client pads each datagram with an Initial to this size; smaller ones are not answered. */
export const MIN_INITIAL_DATAGRAM_BYTES = 1200;
/** RFC 9000 §7.2: the destination id of a first Initial is unpredictable and at least this long. */
const MIN_INITIAL_DESTINATION_BYTES = 8;
const MAX_V1_CONNECTION_ID_BYTES = 20;
/** First byte, 20 bytes of id, 1 of packet number, 16 of tag: RFC 9000 §10.3 wants at least this to be told apart. */
const MIN_SHORT_BYTES = 1 + OUR_CONNECTION_ID_BYTES + 1;

export type DropReason =
  | 'empty'
  | 'truncated'
  | 'fixed_bit'
  | 'id_too_long'
  | 'zero_rtt'
  | 'retry_or_negotiation'
  | 'small_initial'
  | 'short_destination'
  | 'unknown_version'
  | 'unknown_connection';

/** What to do with a datagram, decided from its first packet's header alone. */
export type PacketRoute =
  | { readonly to: 'connection'; readonly destinationId: Buffer }
  | {
      readonly to: 'new_connection';
      readonly destinationId: Buffer;
      readonly sourceId: Buffer;
      readonly token: Buffer;
    }
  | { readonly to: 'version_negotiation'; readonly destinationId: Buffer; readonly sourceId: Buffer }
  | { readonly to: 'stateless_reset'; readonly destinationId: Buffer }
  | { readonly to: 'nowhere'; readonly reason: DropReason };

const drop = (reason: DropReason): PacketRoute => ({ to: 'nowhere', reason });

/**
 * Where a datagram belongs (RFC 9000 §5.2, RFC 8999). Never throws, whatever the bytes.
 *
 * `isKnown` tells whether a connection id is one of a living connection. 0-RTT packets are dropped even for a known
 * connection: early data is off, and no request may come in before the client has authenticated itself.
 */
export function routePacket(datagram: Buffer, isKnown: (destinationId: Buffer) => boolean): PacketRoute {
  const first = datagram[0];
  if (first === undefined) return drop('empty');
  return (first & 0x80) === 0 ? routeShort(first, datagram, isKnown) : routeLong(first, datagram, isKnown);
}

function routeShort(first: number, datagram: Buffer, isKnown: (id: Buffer) => boolean): PacketRoute {
  if (datagram.length < MIN_SHORT_BYTES) return drop('truncated');
  if ((first & 0x40) === 0) return drop('fixed_bit');
  const destinationId = datagram.subarray(1, 1 + OUR_CONNECTION_ID_BYTES);
  return isKnown(destinationId)
    ? { to: 'connection', destinationId }
    : { to: 'stateless_reset', destinationId };
}

const LONG_TYPE = { initial: 0, zero_rtt: 1, handshake: 2, retry: 3 } as const;

function routeLong(first: number, datagram: Buffer, isKnown: (id: Buffer) => boolean): PacketRoute {
  const reader = new HeaderReader(datagram, 1);
  const version = reader.uint32();
  const destinationId = reader.prefixed();
  const sourceId = reader.prefixed();
  if (version === undefined || destinationId === undefined || sourceId === undefined)
    return drop('truncated');
  if (version === 0) return drop('retry_or_negotiation');
  if (version !== QUIC_VERSION_1) return routeUnknownVersion(datagram, destinationId, sourceId);
  if ((first & 0x40) === 0) return drop('fixed_bit');
  if (destinationId.length > MAX_V1_CONNECTION_ID_BYTES || sourceId.length > MAX_V1_CONNECTION_ID_BYTES) {
    return drop('id_too_long');
  }
  const type = (first >> 4) & 0x03;
  if (type === LONG_TYPE.zero_rtt) return drop('zero_rtt');
  if (type === LONG_TYPE.retry) return drop('retry_or_negotiation');
  if (isKnown(destinationId)) return { to: 'connection', destinationId };
  if (type !== LONG_TYPE.initial) return drop('unknown_connection');
  if (datagram.length < MIN_INITIAL_DATAGRAM_BYTES) return drop('small_initial');
  if (destinationId.length < MIN_INITIAL_DESTINATION_BYTES) return drop('short_destination');
  const token = reader.variablePrefixed();
  if (token === undefined) return drop('truncated');
  return { to: 'new_connection', destinationId, sourceId, token };
}

/** RFC 9000 §6.1: only a datagram large enough to start a connection is answered, else we would amplify. */
function routeUnknownVersion(datagram: Buffer, destinationId: Buffer, sourceId: Buffer): PacketRoute {
  if (datagram.length < MIN_INITIAL_DATAGRAM_BYTES) return drop('unknown_version');
  return { to: 'version_negotiation', destinationId, sourceId };
}

/**
 * Version Negotiation (RFC 9000 §17.2.1) in answer to a packet with these ids: version 1 and one reserved version, so
 * that clients keep the habit of ignoring what they do not know (§6.3). `random` is one random byte.
 */
export function versionNegotiationPacket(destinationId: Buffer, sourceId: Buffer, random: number): Buffer {
  const versions = Buffer.alloc(8);
  versions.writeUInt32BE(QUIC_VERSION_1, 0);
  const nibble = random & 0xf0;
  versions.writeUInt32BE((((nibble | 0x0a) * 0x01010101) & 0xffffffff) >>> 0, 4);
  return Buffer.concat([
    Buffer.from([0xc0 | (random & 0x3f), 0, 0, 0, 0, sourceId.length]),
    sourceId,
    Buffer.from([destinationId.length]),
    destinationId,
    versions,
  ]);
}

/** Reads forwards through a header; each read answers undefined when the bytes end before it does. */
class HeaderReader {
  constructor(
    private readonly bytes: Buffer,
    private offset: number,
  ) {}

  uint32(): number | undefined {
    if (this.offset + 4 > this.bytes.length) return undefined;
    const value = this.bytes.readUInt32BE(this.offset);
    this.offset += 4;
    return value;
  }

  /** Bytes after a length of one byte. */
  prefixed(): Buffer | undefined {
    const length = this.bytes[this.offset];
    if (length === undefined) return undefined;
    this.offset += 1;
    return this.#take(length);
  }

  /** Bytes after a length that is a variable-length integer (RFC 9000 §16). */
  variablePrefixed(): Buffer | undefined {
    const first = this.bytes[this.offset];
    if (first === undefined) return undefined;
    const size = 1 << (first >> 6);
    const encoded = this.#take(size);
    if (encoded === undefined) return undefined;
    let length = first & 0x3f;
    for (const byte of encoded.subarray(1)) length = length * 256 + byte;
    return this.#take(length);
  }

  #take(length: number): Buffer | undefined {
    if (this.offset + length > this.bytes.length) return undefined;
    const taken = this.bytes.subarray(this.offset, this.offset + length);
    this.offset += length;
    return taken;
  }
}
