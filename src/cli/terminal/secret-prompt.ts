import type { Readable, Writable } from 'node:stream';
import { ClientError, interrupted } from '../../client/client-error.js';

/** The part of `process.stdin` that a prompt needs. */
export interface TerminalInput extends Readable {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
}

/** Longer than any code or link. */
const MAX_CHARACTERS = 2048;

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const CTRL_U = '\u0015';
const BACKSPACES = new Set(['\b', '\u007f']);
const LINE_ENDS = new Set(['\r', '\n']);

/**
 * Asks on the terminal without showing what is typed. Backspace and Ctrl-U work. Throws `interrupted` on Ctrl-C or
 * Ctrl-D, a usage error when stdin is no terminal.
 */
export async function promptSecret(
  input: TerminalInput,
  output: Writable,
  question: string,
): Promise<string> {
  if (input.isTTY !== true || input.setRawMode === undefined) {
    throw new ClientError('usage', 'NO_TERMINAL', 'there is no terminal to ask for the pairing code', {
      advice: 'write the code or link as one line to stdin and add --proof-stdin',
    });
  }
  // Before the question: what is typed the moment it appears must not be shown either.
  input.setRawMode(true);
  try {
    output.write(question);
    return await readTyped(input);
  } finally {
    input.setRawMode(false);
    input.pause();
    output.write('\n');
  }
}

async function readTyped(input: TerminalInput): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    let typed: string[] = [];
    const settle = (work: () => void): void => {
      input.removeListener('data', onData);
      input.removeListener('end', onEnd);
      work();
    };
    const onEnd = (): void => {
      settle(() => {
        reject(interrupted());
      });
    };
    const onData = (chunk: Buffer | string): void => {
      for (const character of chunk.toString()) {
        if (LINE_ENDS.has(character)) {
          settle(() => {
            resolve(typed.join(''));
          });
          return;
        }
        if (character === CTRL_C || character === CTRL_D) {
          onEnd();
          return;
        }
        typed = edited(typed, character);
      }
    };
    input.on('data', onData);
    input.once('end', onEnd);
    input.resume();
  });
}

function edited(typed: string[], character: string): string[] {
  if (BACKSPACES.has(character)) return typed.slice(0, -1);
  if (character === CTRL_U) return [];
  return typed.length < MAX_CHARACTERS ? [...typed, character] : typed;
}

/** The first line of a stream that is no terminal. Throws a usage error when there is none or it is too long. */
export async function readFirstLine(input: Readable): Promise<string> {
  let text = '';
  for await (const chunk of input as AsyncIterable<Buffer | string>) {
    text += chunk.toString();
    if (text.includes('\n') || text.length > MAX_CHARACTERS) break;
  }
  const line = (text.split('\n')[0] ?? '').trim();
  if (line !== '' && line.length <= MAX_CHARACTERS) return line;
  throw new ClientError('usage', 'NO_PROOF', 'stdin does not hold a pairing code', {
    advice: 'write the code or link as one line to stdin',
  });
}
