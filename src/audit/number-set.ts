/** How many numbers share a bitmap. */
const CHUNK_BITS = 1024;

/** A set of whole numbers from 0 to 2^53 − 1 that takes one bit for each where they stand close together. */
export class NumberSet {
  readonly #chunks = new Map<number, Uint8Array>();

  has(value: number): boolean {
    const chunk = this.#chunks.get(Math.floor(value / CHUNK_BITS));
    return chunk !== undefined && (byteOf(chunk, value) & maskOf(value)) !== 0;
  }

  add(value: number): void {
    const chunk = this.#chunkOf(Math.floor(value / CHUNK_BITS));
    chunk[indexOf(value)] = byteOf(chunk, value) | maskOf(value);
  }

  #chunkOf(index: number): Uint8Array {
    const found = this.#chunks.get(index);
    if (found !== undefined) return found;
    const chunk = new Uint8Array(CHUNK_BITS / 8);
    this.#chunks.set(index, chunk);
    return chunk;
  }
}

const indexOf = (value: number): number => Math.floor((value % CHUNK_BITS) / 8);
const byteOf = (chunk: Uint8Array, value: number): number => chunk[indexOf(value)] ?? 0;
const maskOf = (value: number): number => 1 << (value % 8);
