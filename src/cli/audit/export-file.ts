import { type FileHandle, open } from 'node:fs/promises';
import type { AuditEntry } from '../../audit/audit-entry.js';
import { type KeptHead, parseEntryLine, parseHeadLine, parseKeptHeadLine } from '../../audit/audit-export.js';
import type { SignedAuditHead } from '../../audit/audit-head.js';
import { ClientError } from '../../client/client-error.js';
import { malformed } from '../../errors/domain-error.js';

/** What the service writes is far below: texts of others are bounded where they come in. */
const MAX_LINE_BYTES = 1024 * 1024;
const READ_BYTES = 256 * 1024;
const LINE_END = 0x0a;

/**
 * An export on disk: the head, which stands last, and the entries before it, read in one pass without holding them.
 * Methods throw `malformed`, naming the line, for what is no export.
 */
export class ExportFile {
  private constructor(
    private readonly handle: FileHandle,
    private readonly size: number,
    readonly head: SignedAuditHead,
  ) {}

  static async open(path: string): Promise<ExportFile> {
    const handle = await openFile(path);
    try {
      const { size } = await handle.stat();
      return new ExportFile(handle, size, parseHeadLine(await readLastLine(handle, size)));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async *entries(): AsyncGenerator<AuditEntry, void, undefined> {
    let lineNumber = 0;
    // The last line is the head, so that each waits until there is another behind it.
    let waiting: string | undefined;
    for await (const lines of readLines(this.handle, this.size)) {
      for (const line of lines) {
        if (waiting !== undefined) yield parseEntryLine(waiting, lineNumber);
        waiting = line;
        lineNumber += 1;
      }
    }
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** The last line of an earlier export, or the one of a kept head. */
export async function readKeptHead(path: string): Promise<KeptHead> {
  const handle = await openFile(path);
  try {
    const { size } = await handle.stat();
    return parseKeptHeadLine(await readLastLine(handle, size));
  } finally {
    await handle.close();
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    const handle = await open(path, 'r');
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
  } catch (cause) {
    throw fileUnreadable(path, cause);
  }
  throw fileUnreadable(path, undefined);
}

async function readLastLine(handle: FileHandle, size: number): Promise<string> {
  const start = Math.max(0, size - MAX_LINE_BYTES);
  const tail = Buffer.alloc(size - start);
  const { bytesRead } = await handle.read(tail, 0, tail.length, start);
  const end = tail[bytesRead - 1] === LINE_END ? bytesRead - 1 : bytesRead;
  const line = tail.subarray(tail.subarray(0, end).lastIndexOf(LINE_END) + 1, end);
  return decode(line, 'The last line');
}

/** Lines without their ends, as many at a time as were read at once. */
async function* readLines(handle: FileHandle, size: number): AsyncGenerator<string[], void, undefined> {
  let lineNumber = 1;
  let rest: Buffer = Buffer.alloc(0);
  for (let position = 0; position < size;) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    const read = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
    const end = read.lastIndexOf(LINE_END) + 1;
    const lines = end === 0 ? [] : splitLines(read.subarray(0, end - 1), lineNumber);
    rest = read.subarray(end);
    lineNumber += lines.length;
    if (rest.length > MAX_LINE_BYTES) throw unreadableLine(`Line ${lineNumber}`, 'is too long');
    yield lines;
  }
  if (rest.length > 0) yield [decode(rest, `Line ${lineNumber}`)];
}

function splitLines(bytes: Buffer, firstNumber: number): string[] {
  try {
    return strictUtf8.decode(bytes).split('\n');
  } catch {
    const lines = bytes.toString('latin1').split('\n');
    return lines.map((line, index) => decode(Buffer.from(line, 'latin1'), `Line ${firstNumber + index}`));
  }
}

/** Other decoders put U+FFFD for what is no UTF-8, and two files would read the same. */
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decode(bytes: Buffer, where: string): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw unreadableLine(where, 'is no UTF-8');
  }
}

function unreadableLine(where: string, what: string): Error {
  return malformed('AUDIT_LINE_MALFORMED', `${where} ${what}: the file was altered, or is no audit export.`);
}

function fileUnreadable(path: string, cause: unknown): ClientError {
  return new ClientError('usage', 'AUDIT_FILE_UNREADABLE', `${path} cannot be read`, {
    advice: 'name a file that palyra audit export or palyra audit head has written',
    cause,
  });
}
