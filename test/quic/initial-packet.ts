import { createCipheriv, createHmac } from 'node:crypto';

/** RFC 9001 §5.2. */
const INITIAL_SALT = Buffer.from('38762cf7f55934b34d179ae6a4c80cadccbb7f0a', 'hex');
const PACKET_NUMBER_BYTES = 4;
const TAG_BYTES = 16;
const SAMPLE_BYTES = 16;

/** What the header of a client's Initial says. */
export interface InitialHeader {
  readonly destinationId: Buffer;
  readonly sourceId: Buffer;
  readonly token: Buffer;
  readonly packetNumber: number;
}

/** An Initial of a client with frames that no library would send; anybody can make one (RFC 9001 §5.2). */
export function initialPacket(header: InitialHeader, frames: Buffer): Buffer {
  const { key, iv, headerKey } = clientInitialKeys(header.destinationId);
  const number = Buffer.alloc(PACKET_NUMBER_BYTES);
  number.writeUInt32BE(header.packetNumber);
  const start = Buffer.concat([
    Buffer.from([0xc0 | (PACKET_NUMBER_BYTES - 1), 0, 0, 0, 1]),
    prefixed(header.destinationId),
    prefixed(header.sourceId),
    variable(header.token.length),
    header.token,
    variable(PACKET_NUMBER_BYTES + frames.length + TAG_BYTES),
  ]);
  const nonce = Buffer.from(iv);
  nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ header.packetNumber) >>> 0, 8);
  const cipher = createCipheriv('aes-128-gcm', key, nonce);
  cipher.setAAD(Buffer.concat([start, number]));
  const sealed = Buffer.concat([cipher.update(frames), cipher.final(), cipher.getAuthTag()]);
  return protectHeader(headerKey, Buffer.concat([start, number, sealed]), start.length);
}

/** `length` bytes of the handshake at `offset` (RFC 9000 §19.6). */
export function cryptoFrame(offset: number, length: number): Buffer {
  return Buffer.concat([Buffer.from([0x06]), variable(offset), variable(length), Buffer.alloc(length, 0x41)]);
}

/** Our connection id and the token of a Retry (RFC 9000 §17.2.5). */
export function readRetry(packet: Buffer): { readonly sourceId: Buffer; readonly token: Buffer } {
  const afterDestination = 6 + packet.readUInt8(5);
  const afterSource = afterDestination + 1 + packet.readUInt8(afterDestination);
  return {
    sourceId: Buffer.from(packet.subarray(afterDestination + 1, afterSource)),
    token: Buffer.from(packet.subarray(afterSource, packet.length - TAG_BYTES)),
  };
}

function clientInitialKeys(destinationId: Buffer): { key: Buffer; iv: Buffer; headerKey: Buffer } {
  const initialSecret = createHmac('sha256', INITIAL_SALT).update(destinationId).digest();
  const secret = expandLabel(initialSecret, 'client in', 32);
  return {
    key: expandLabel(secret, 'quic key', 16),
    iv: expandLabel(secret, 'quic iv', 12),
    headerKey: expandLabel(secret, 'quic hp', 16),
  };
}

function expandLabel(secret: Buffer, label: string, length: number): Buffer {
  const fullLabel = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, length, fullLabel.length]), fullLabel, Buffer.from([0, 1])]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
}

function protectHeader(headerKey: Buffer, packet: Buffer, numberOffset: number): Buffer {
  const cipher = createCipheriv('aes-128-ecb', headerKey, null);
  cipher.setAutoPadding(false);
  const sampleOffset = numberOffset + PACKET_NUMBER_BYTES;
  const mask = cipher.update(packet.subarray(sampleOffset, sampleOffset + SAMPLE_BYTES));
  packet.writeUInt8(packet.readUInt8(0) ^ (mask.readUInt8(0) & 0x0f), 0);
  for (let i = 0; i < PACKET_NUMBER_BYTES; i += 1) {
    packet.writeUInt8(packet.readUInt8(numberOffset + i) ^ mask.readUInt8(1 + i), numberOffset + i);
  }
  return packet;
}

const prefixed = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([bytes.length]), bytes]);

/** RFC 9000 §16, in four bytes. */
function variable(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE((0x80000000 | value) >>> 0);
  return bytes;
}
