import { crc32, deflateSync } from 'node:zlib';
import { encodeQR } from 'qr';

/** Light modules round the code (ISO/IEC 18004 §9.1 asks for four). */
const QUIET_ZONE = 4;
/** Pixels of a module in a PNG. */
const PNG_SCALE = 8;

/** Rows of modules, `true` where dark, with the quiet zone. */
export function qrModules(text: string): boolean[][] {
  return encodeQR(text, 'raw', { ecc: 'medium', border: QUIET_ZONE });
}

/** Two rows of modules a line, of ` `, `▀`, `▄` and `█`: light modules are drawn, as a dark terminal needs it. */
export function qrLines(text: string): string[] {
  const modules = qrModules(text);
  const width = modules[0]?.length ?? 0;
  const lines: string[] = [];
  for (let y = 0; y < modules.length; y += 2) {
    const upper = modules[y] ?? [];
    const lower = modules[y + 1];
    let line = '';
    for (let x = 0; x < width; x++)
      line += block(upper[x] !== true, lower !== undefined && lower[x] !== true);
    lines.push(line);
  }
  return lines;
}

function block(upper: boolean, lower: boolean): string {
  if (upper) return lower ? '█' : '▀';
  return lower ? '▄' : ' ';
}

/** An SVG 1.1 image, dark on white, one unit a module. */
export function qrSvg(text: string): string {
  const modules = qrModules(text);
  const size = modules.length;
  const path = modules.flatMap((row, y) =>
    darkRuns(row).map(([x, length]) => `M${x} ${y}h${length}v1h-${length}z`),
  );
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" version="1.1" viewBox="0 0 ${size} ${size}" ` +
    `width="${size * PNG_SCALE}" height="${size * PNG_SCALE}" shape-rendering="crispEdges">` +
    `<path fill="#fff" d="M0 0h${size}v${size}h-${size}z"/><path fill="#000" d="${path.join('')}"/></svg>\n`
  );
}

/** First module and length of each run of dark ones. */
function darkRuns(row: readonly boolean[]): [x: number, length: number][] {
  const runs: [number, number][] = [];
  for (let x = 0; x < row.length; x++) {
    if (row[x] !== true) continue;
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === x) last[1] += 1;
    else runs.push([x, 1]);
  }
  return runs;
}

const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** A PNG image, dark on white: greyscale of one bit (RFC 2083 §4.1.1). */
export function qrPng(text: string): Buffer {
  const modules = qrModules(text);
  const size = modules.length * PNG_SCALE;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header[8] = 1;
  // RFC 2083 §6.1: each line after its filter type, which is 0.
  const lines = modules.flatMap((row) => Array.from({ length: PNG_SCALE }, () => pngLine(row)));
  return Buffer.concat([
    PNG_SIGNATURE,
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(Buffer.concat(lines))),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

/** A module is eight pixels wide, so one byte: all light or all dark. */
function pngLine(row: readonly boolean[]): Buffer {
  return Buffer.from([0, ...row.map((dark) => (dark ? 0x00 : 0xff))]);
}

/** RFC 2083 §3.2: length, type, data, CRC of type and data. */
function pngChunk(type: string, data: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'ascii'), data]);
  const chunk = Buffer.alloc(typed.length + 8);
  chunk.writeUInt32BE(data.length, 0);
  typed.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(typed), typed.length + 4);
  return chunk;
}
