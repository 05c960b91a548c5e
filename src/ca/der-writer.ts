import { contextTag, TAG } from './der.js';

/** One DER element: tag, shortest length, the parts one behind the other (X.690 §8.1, §10.1). At most 16 MiB. */
export function encodeDer(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const value = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(tag), encodeLength(value.length), value]);
}

function encodeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  if (length < 0x100) return Buffer.of(0x81, length);
  if (length < 0x10000) return Buffer.of(0x82, length >> 8, length & 0xff);
  return Buffer.of(0x83, length >> 16, (length >> 8) & 0xff, length & 0xff);
}

export const encodeSequence = (...parts: readonly Uint8Array[]): Buffer => encodeDer(TAG.sequence, ...parts);

/** BIT STRING of whole bytes. */
export const encodeBits = (bytes: Uint8Array): Buffer => encodeDer(TAG.bitString, Buffer.of(0), bytes);

/** `[number]` around what it tags explicitly, or an implicitly tagged constructed element. */
export const encodeContext = (number: number, ...parts: readonly Uint8Array[]): Buffer =>
  encodeDer(contextTag(number, true), ...parts);
