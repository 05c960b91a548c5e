import { createCipheriv, createHmac } from 'node:crypto';
import { QUIC_VERSION_1 } from './packet-header.js';

/** RFC 9000 §20.1. */
export const TRANSPORT_ERROR = { connection_refused: 0x02, invalid_token: 0x0b } as const;

/** RFC 9001 §5.2: salt of the Initial secrets of version 1. */
const INITIAL_SALT = Buffer.from('38762cf7f55934b34d179ae6a4c80cadccbb7f0a', 'hex');
const TAG_BYTES = 16;
const PADDING_BYTES = 20;
const PACKET_NUMBER_BYTES = 1;
const SAMPLE_BYTES = 16;
const MAX_PACKET_NUMBER_BYTES = 4;

/**
 * An Initial packet of ours that carries CONNECTION_CLOSE with a transport error, made without TLS and without state: it
 * tells a client at once that it is turned away (RFC 9000 §5.2.2, RFC 9001 §5.2).
 *
 * `destinationId` and `sourceId` are those of the client's Initial; we answer from the id it was sent to.
 */
export function refusalPacket(destinationId: Uint8Array, sourceId: Uint8Array, errorCode: number): Buffer {
  const keys = serverInitialKeys(destinationId);
  const payload = connectionClose(errorCode);
  const header = initialHeader(sourceId, destinationId, PACKET_NUMBER_BYTES + payload.length + TAG_BYTES);
  const sealed = seal(keys, header, payload);
  return protectHeader(
    keys.headerProtection,
    Buffer.concat([header, sealed]),
    header.length - PACKET_NUMBER_BYTES,
  );
}

interface PacketKeys {
  readonly key: Buffer;
  readonly iv: Buffer;
  readonly headerProtection: Buffer;
}

function serverInitialKeys(destinationId: Uint8Array): PacketKeys {
  const initialSecret = createHmac('sha256', INITIAL_SALT).update(destinationId).digest();
  const secret = expandLabel(initialSecret, 'server in', 32);
  return {
    key: expandLabel(secret, 'quic key', 16),
    iv: expandLabel(secret, 'quic iv', 12),
    headerProtection: expandLabel(secret, 'quic hp', 16),
  };
}

/** HKDF-Expand-Label of TLS 1.3 (RFC 8446 §7.1) for one block of output, at most 32 bytes. */
function expandLabel(secret: Buffer, label: string, length: number): Buffer {
  const fullLabel = Buffer.from(`tls13 ${label}`, 'ascii');
  return createHmac('sha256', secret)
    .update(Buffer.from([0, length, fullLabel.length]))
    .update(fullLabel)
    .update(Buffer.from([0, 1]))
    .digest()
    .subarray(0, length);
}

/** CONNECTION_CLOSE of the transport (type 0x1c): error code, no frame type, no reason; then PADDING. */
function connectionClose(errorCode: number): Buffer {
  if (errorCode < 0 || errorCode > 0x3f) throw new RangeError('a transport error of one byte is expected');
  const payload = Buffer.alloc(4 + PADDING_BYTES);
  payload[0] = 0x1c;
  payload[1] = errorCode;
  return payload;
}

/** RFC 9000 §17.2.2; the packet number is 0. `length` is written as a 2-byte variable-length integer. */
function initialHeader(destinationId: Uint8Array, sourceId: Uint8Array, length: number): Buffer {
  const version = Buffer.alloc(4);
  version.writeUInt32BE(QUIC_VERSION_1);
  const lengthField = Buffer.alloc(2);
  lengthField.writeUInt16BE(0x4000 | length);
  return Buffer.concat([
    Buffer.from([0xc0 | (PACKET_NUMBER_BYTES - 1)]),
    version,
    Buffer.from([destinationId.length]),
    destinationId,
    Buffer.from([sourceId.length]),
    sourceId,
    Buffer.from([0]),
    lengthField,
    Buffer.alloc(PACKET_NUMBER_BYTES),
  ]);
}

function seal({ key, iv }: PacketKeys, header: Buffer, payload: Buffer): Buffer {
  // The nonce is the IV exclusive-or the packet number (RFC 9001 §5.3), which is 0 here.
  const cipher = createCipheriv('aes-128-gcm', key, iv);
  cipher.setAAD(header);
  return Buffer.concat([cipher.update(payload), cipher.final(), cipher.getAuthTag()]);
}

/** RFC 9001 §5.4: masks the low bits of the first byte and the packet number with a sample of the ciphertext. */
function protectHeader(key: Buffer, packet: Buffer, packetNumberOffset: number): Buffer {
  const sampleOffset = packetNumberOffset + MAX_PACKET_NUMBER_BYTES;
  const cipher = createCipheriv('aes-128-ecb', key, null);
  cipher.setAutoPadding(false);
  const mask = cipher.update(packet.subarray(sampleOffset, sampleOffset + SAMPLE_BYTES));
  packet.writeUInt8(packet.readUInt8(0) ^ (mask.readUInt8(0) & 0x0f), 0);
  const number = packet.readUInt8(packetNumberOffset);
  packet.writeUInt8(number ^ mask.readUInt8(1), packetNumberOffset);
  return packet;
}
