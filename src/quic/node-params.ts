import { fromBase64 } from '../encoding/base64.js';
import { malformed } from '../errors/domain-error.js';
import type { JsonObject, JsonValue } from './frame-codec.js';

/**
 * Reads the `params` of one node RPC request, field by field. Every `take…` throws `malformed` INVALID_PARAMS and names the
 * field; `end` throws it for a field that nobody has taken, so that a misspelt one is not silently ignored.
 */
export class NodeParams {
  readonly #taken = new Set<string>();

  constructor(private readonly params: JsonObject) {}

  takeText(name: string, maxBytes: number): string {
    const value = this.#take(name);
    if (typeof value !== 'string' || Buffer.byteLength(value, 'utf8') > maxBytes || !value.isWellFormed()) {
      throw invalid(`${name} must be a text of at most ${maxBytes} bytes`);
    }
    return value;
  }

  /** Base64 with padding, in its one spelling. */
  takeBytes(name: string, maxBytes: number): Buffer {
    const value = this.#take(name);
    // Four characters for three bytes; what is longer is not decoded.
    const isShort = typeof value === 'string' && value.length <= Math.ceil(maxBytes / 3) * 4;
    const bytes = isShort ? fromBase64(value) : undefined;
    if (bytes === undefined || bytes.length > maxBytes) {
      throw invalid(`${name} must be base64 with padding, of at most ${maxBytes} bytes`);
    }
    return bytes;
  }

  /** At most `maxItems` texts that match `form`, each once. */
  takeWords(name: string, maxItems: number, form: RegExp): string[] {
    const value = this.#take(name);
    const words = Array.isArray(value) ? (value as readonly JsonValue[]) : undefined;
    const isGood = (word: JsonValue): word is string => typeof word === 'string' && form.test(word);
    if (words === undefined || words.length > maxItems || !words.every(isGood)) {
      throw invalid(`${name} must be a list of at most ${maxItems} words that match ${form.source}`);
    }
    if (new Set(words).size !== words.length) throw invalid(`${name} must name each word once`);
    return [...words];
  }

  end(): void {
    const unknown = Object.keys(this.params).filter((name) => !this.#taken.has(name));
    if (unknown.length > 0) throw invalid('there is a field that this method does not have');
  }

  #take(name: string): JsonValue | undefined {
    this.#taken.add(name);
    return Object.hasOwn(this.params, name) ? this.params[name] : undefined;
  }
}

const invalid = (message: string): Error => malformed('INVALID_PARAMS', `params: ${message}`);
