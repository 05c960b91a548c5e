import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DomainError } from '../errors/domain-error.js';

/** Shorter ones could be guessed. */
const LEAST_CHARACTERS = 16;

/** What the metrics scraper has to show; without one, nothing. */
export class MetricsToken {
  readonly #hash: Buffer | undefined;

  constructor(token: string | undefined) {
    this.#hash = token === undefined ? undefined : sha256(token);
  }

  /**
   * Reads the token of `file`; blanks and line ends around it do not count.
   *
   * @throws DomainError `malformed` when the file cannot be read or its token is too short.
   */
  static fromFile(file: string | undefined): MetricsToken {
    if (file === undefined) {
      return new MetricsToken(undefined);
    }
    const token = readToken(file);
    if (token.length < LEAST_CHARACTERS || /\s/.test(token)) {
      const text = `${file} must hold one token of at least ${LEAST_CHARACTERS} characters: \`openssl rand -hex 32 > ${file}\``;
      throw new DomainError('malformed', 'METRICS_TOKEN_FILE', text);
    }
    return new MetricsToken(token);
  }

  /** @throws DomainError `unauthenticated` when a token is asked for and `authorization` does not carry it. */
  require(authorization: string | undefined): void {
    if (this.#hash === undefined) {
      return;
    }
    const shown = /^bearer (\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
    if (!timingSafeEqual(sha256(shown), this.#hash)) {
      throw new DomainError(
        'unauthenticated',
        'METRICS_TOKEN_REQUIRED',
        'send `authorization: Bearer <metrics token>`',
      );
    }
  }
}

function readToken(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new DomainError(
      'malformed',
      'METRICS_TOKEN_FILE',
      `${file} cannot be read (${code}); make it readable`,
      {
        cause: error,
      },
    );
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
