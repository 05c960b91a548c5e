import type { Writable } from 'node:stream';
import { printable, printableJson } from './printable-text.js';
import { fieldLines, tableLines } from './table.js';

/**
 * Where a command writes. People get lines, scripts (`--json`) get one JSON object a line; each method writes for its
 * reader and is silent for the other. Everything is made safe for a terminal here, at the last moment.
 */
export class Output {
  constructor(
    private readonly stdout: Writable,
    private readonly stderr: Writable,
    readonly json: boolean,
  ) {}

  /** For people. */
  line(text = ''): void {
    if (!this.json) this.stdout.write(`${printable(text)}\n`);
  }

  /** For people. `empty` stands in place of a table without rows. */
  table(headers: readonly string[], rows: readonly (readonly string[])[], empty: string): void {
    const lines = rows.length === 0 ? [empty] : tableLines(headers, rows);
    for (const text of lines) this.line(text);
  }

  /** For people. */
  fields(fields: readonly (readonly [name: string, value: string])[]): void {
    for (const text of fieldLines(fields)) this.line(text);
  }

  /**
   * For people: a picture of block characters. On a terminal it brings its own colours, light on dark, since it means the
   * opposite on a light background.
   */
  picture(lines: readonly string[]): void {
    const isTerminal = (this.stdout as Writable & { readonly isTTY?: boolean }).isTTY === true;
    const [before, after] = isTerminal ? ['\u001b[97;40m', '\u001b[0m'] : ['', ''];
    if (this.json) return;
    for (const text of lines) this.stdout.write(`${before}${printable(text)}${after}\n`);
  }

  /** For scripts. */
  object(value: unknown): void {
    if (this.json) this.stdout.write(`${printableJson(value)}\n`);
  }

  /** For people, on stderr: how far something long is. */
  progress(text: string): void {
    if (!this.json) this.stderr.write(`${printable(text)}\n`);
  }

  /** For both, on stderr. */
  warning(reason: string, text: string): void {
    const line = this.json
      ? printableJson({ warning: reason, message: text })
      : `warning: ${printable(text)}`;
    this.stderr.write(`${line}\n`);
  }
}
