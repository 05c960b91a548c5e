import { type DestinationStream, pino } from 'pino';
import type { LogLevel } from '../config/slices.js';
import { LineBuffer, type LineSink } from './line-buffer.js';
import { redactText, withoutSecrets } from './redaction.js';

/** Without what pino binds to all lines of a child: those fields go past the redaction. */
export type Logger = Pick<pino.Logger, 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace'>;

export interface LoggerOptions {
  readonly level: LogLevel;
  /** `auto`: text on a terminal, else JSON lines. */
  readonly format: 'auto' | 'json' | 'text';
  /** Standard output by default, a turn's lines at once. */
  readonly sink?: LineSink & { readonly isTTY?: boolean };
}

/** The logger of the process. Every line goes through the redaction of `redaction.ts`, whatever it was made from. */
export function createLogger(options: LoggerOptions): Logger {
  const sink = options.sink ?? gatheredStdout();
  const isTTY = (options.sink ?? process.stdout).isTTY === true;
  const asText = options.format === 'text' || (options.format === 'auto' && isTTY);
  const destination: DestinationStream = {
    write(line) {
      const redacted = redactText(line);
      sink.write(asText ? readable(redacted) : redacted);
    },
  };
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }), log: withoutSecrets },
      // Errors were made plain by `withoutSecrets`; pino would take what it made of them for errors again.
      serializers: { err: (plain: unknown) => plain },
    },
    destination,
  );
}

/** Nothing is lost at `process.exit`: pipes and files are written to synchronously then. */
function gatheredStdout(): LineBuffer {
  const buffer = new LineBuffer(process.stdout);
  process.once('exit', () => {
    buffer.flush();
  });
  return buffer;
}

interface Entry {
  readonly level: string;
  readonly time: string;
  readonly msg?: string;
  readonly err?: { readonly stack?: string };
}

/** One entry for people: time, level, text, then the other fields; a stack on lines of its own. */
function readable(line: string): string {
  const { level, time, msg = '', err, ...fields } = JSON.parse(line) as Entry & Record<string, unknown>;
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${shown(value)}`);
  const head = [time.slice(11, 23), level.toUpperCase().padEnd(5), msg, ...rest].join(' ').trimEnd();
  return harmless(err?.stack === undefined ? `${head}\n` : `${head}\n${indented(err.stack)}\n`);
}

function shown(value: unknown): string {
  return typeof value === 'string' && !/[\s"]/.test(value) ? value : JSON.stringify(value);
}

function indented(text: string): string {
  return text.replace(/^/gm, '    ');
}

/** What strangers wrote must not steer the terminal: control and bidirectional characters but line ends are escaped. */
function harmless(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character === '\n' ? character : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
