import { printable } from './printable-text.js';

/** Lines of a table: columns as wide as their widest cell, two blanks between them, every cell safe to print. */
export function tableLines(headers: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [headers, ...rows].map((row) => row.map(printable));
  const widths = headers.map((_header, column) => Math.max(...cells.map((row) => width(row[column] ?? ''))));
  return cells.map((row) => joinCells(row, widths));
}

/** Lines of `name  value`, the values aligned; `-` for an empty one. */
export function fieldLines(fields: readonly (readonly [name: string, value: string])[]): string[] {
  const nameWidth = Math.max(0, ...fields.map(([name]) => width(name)));
  return fields.map(([name, value]) => `${padded(name, nameWidth)}  ${printable(value) || '-'}`.trimEnd());
}

function joinCells(row: readonly string[], widths: readonly number[]): string {
  return widths
    .map((columnWidth, column) => padded(row[column] ?? '', columnWidth))
    .join('  ')
    .trimEnd();
}

function padded(text: string, columnWidth: number): string {
  return text + ' '.repeat(Math.max(0, columnWidth - width(text)));
}

/** In characters: wide ones are counted once, which only misaligns their own line. */
function width(text: string): number {
  return Array.from(text).length;
}
