import { DomainError, malformed } from '../errors/domain-error.js';

/** Largest JSON text of one frame, in bytes; the 4 bytes of its length not counted (DESIGN §6). */
export const MAX_FRAME_BYTES = 512 * 1024;
/** Bytes of the length before each frame: unsigned, big-endian. */
export const FRAME_HEADER_BYTES = 4;
/** How deep arrays and objects of a frame may be nested; the outermost object counts as 1. */
export const MAX_JSON_DEPTH = 32;

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: JsonValue;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const frameTooLarge = (bytes: number): DomainError =>
  new DomainError(
    'malformed',
    'FRAME_TOO_LARGE',
    `a frame may hold at most ${MAX_FRAME_BYTES} bytes; this one would hold ${bytes}`,
  );

/**
 * One message as it travels: 4-byte big-endian length, then the object as JSON in UTF-8.
 * Throws `FRAME_TOO_LARGE` when the JSON text is over 512 KiB.
 */
export function encodeFrame(message: object): Buffer {
  const text = JSON.stringify(message);
  const length = Buffer.byteLength(text, 'utf8');
  if (length > MAX_FRAME_BYTES) throw frameTooLarge(length);
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + length);
  frame.writeUInt32BE(length, 0);
  frame.write(text, FRAME_HEADER_BYTES, 'utf8');
  return frame;
}

/**
 * Reads the JSON object of a frame. Throws a `malformed` DomainError when the bytes are not strict UTF-8, not JSON, nested
 * deeper than 32, or not an object. Depth is counted before parsing, so a hostile text never reaches the recursive parser.
 */
export function decodeFrameBody(body: Uint8Array): JsonObject {
  let text: string;
  try {
    text = strictUtf8.decode(body);
  } catch (cause) {
    throw malformed('INVALID_UTF8', 'the frame is not UTF-8', cause);
  }
  if (exceedsDepth(text, MAX_JSON_DEPTH)) {
    throw malformed('JSON_TOO_DEEP', `JSON may be nested at most ${MAX_JSON_DEPTH} levels deep`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw malformed('INVALID_JSON', 'the frame is not JSON', cause);
  }
  if (!isJsonObject(value)) throw malformed('NOT_AN_OBJECT', 'the frame must hold a JSON object');
  return value;
}

/** Whether a value that came out of `JSON.parse` is an object (neither array nor null). */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Counts brackets outside strings; on text that is not JSON the answer does not matter, the parser refuses it. */
function exceedsDepth(text: string, limit: number): boolean {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (inString) {
      if (code === BACKSLASH) index += 1;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) {
      inString = true;
    } else if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
      depth += 1;
      if (depth > limit) return true;
    } else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) {
      depth -= 1;
    }
  }
  return false;
}

/**
 * Cuts a stream of bytes into frames. Holds at most one incomplete frame, and nothing of it before its length has been
 * found to be within the limit.
 */
export class FrameDecoder {
  #headerFilled = 0;
  #length = 0;
  /** What has come of a frame that did not come in one piece. */
  #body: Buffer | undefined;
  #bodyFilled = 0;

  constructor(private readonly maxFrameBytes: number = MAX_FRAME_BYTES) {}

  /** Length that the incomplete frame has declared; 0 between frames. What a reader has to reserve. */
  get declaredBytes(): number {
    return this.#headerFilled === FRAME_HEADER_BYTES ? this.#length : 0;
  }

  /** Whether bytes of a frame that is not complete have been taken. */
  get inFrame(): boolean {
    return this.#headerFilled > 0;
  }

  /**
   * Takes the next bytes and returns the frames that are complete with them, as bodies without length. They may be views
   * of `chunk`, good until its memory is used again.
   * Throws `FRAME_TOO_LARGE` at the fourth byte of a length over the limit; the decoder must not be used after that.
   */
  push(chunk: Uint8Array): Uint8Array[] {
    const frames: Uint8Array[] = [];
    let at = 0;
    while (at < chunk.length) {
      at = this.#takeHeader(chunk, at);
      if (this.#headerFilled < FRAME_HEADER_BYTES) break;
      const wanted = this.#length - this.#bodyFilled;
      const bytes = chunk.subarray(at, at + wanted);
      at += bytes.length;
      if (bytes.length === wanted) frames.push(this.#completedBy(bytes));
      else this.#keep(bytes);
    }
    return frames;
  }

  /** Where the body begins, or the chunk ends. */
  #takeHeader(chunk: Uint8Array, from: number): number {
    let at = from;
    while (this.#headerFilled < FRAME_HEADER_BYTES && at < chunk.length) {
      this.#length = this.#length * 0x100 + (chunk[at] ?? 0);
      this.#headerFilled += 1;
      at += 1;
      if (this.#headerFilled === FRAME_HEADER_BYTES && this.#length > this.maxFrameBytes) {
        throw frameTooLarge(this.#length);
      }
    }
    return at;
  }

  #keep(bytes: Uint8Array): void {
    this.#body ??= Buffer.allocUnsafe(this.#length);
    this.#body.set(bytes, this.#bodyFilled);
    this.#bodyFilled += bytes.length;
  }

  #completedBy(last: Uint8Array): Uint8Array {
    if (this.#body !== undefined) this.#keep(last);
    const body = this.#body ?? last;
    this.#headerFilled = 0;
    this.#length = 0;
    this.#body = undefined;
    this.#bodyFilled = 0;
    return body;
  }
}
