import { describe, expect, it } from '@jest/globals';
import { PassThrough, Readable } from 'node:stream';
import { ClientError } from '../../client/client-error.js';
import { promptSecret, readFirstLine } from './secret-prompt.js';

class FakeTerminal extends PassThrough {
  readonly isTTY = true;
  readonly rawModes: boolean[] = [];

  setRawMode(raw: boolean): void {
    this.rawModes.push(raw);
  }
}

function ask(): { terminal: FakeTerminal; shown: () => string; answer: Promise<string> } {
  const terminal = new FakeTerminal();
  const output = new PassThrough();
  const written: string[] = [];
  output.on('data', (chunk: Buffer) => written.push(chunk.toString()));
  const answer = promptSecret(terminal, output, 'Pairing code: ');
  return { terminal, shown: () => written.join(''), answer };
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  const error = await work.catch((cause: unknown) => cause);
  return error instanceof ClientError ? error.failure : error;
}

describe('secret prompt', () => {
  it('returns what was typed and shows none of it', async () => {
    const { terminal, shown, answer } = ask();
    terminal.write('K7QM-48');
    terminal.write('2913\r');
    expect(await answer).toBe('K7QM-482913');
    expect(shown()).toBe('Pairing code: \n');
  });

  it('switches echo off and on again', async () => {
    const { terminal, answer } = ask();
    terminal.write('x\n');
    await answer;
    expect(terminal.rawModes).toEqual([true, false]);
  });

  it('switches echo off before it asks, so that quick typing is not shown', async () => {
    const terminal = new FakeTerminal();
    const output = new PassThrough();
    const modesWhenAsked: boolean[][] = [];
    output.once('data', () => modesWhenAsked.push([...terminal.rawModes]));
    const answer = promptSecret(terminal, output, 'Pairing code: ');
    terminal.write('x\n');
    await answer;
    expect(modesWhenAsked).toEqual([[true]]);
  });

  it('knows backspace and Ctrl-U', async () => {
    const { terminal, answer } = ask();
    terminal.write('wrong\u0015AB\u007fC\bD\r');
    expect(await answer).toBe('AD');
  });

  it.each([
    ['Ctrl-C', '\u0003'],
    ['Ctrl-D', '\u0004'],
  ])('is interrupted by %s, with echo on again', async (_key, typed) => {
    const { terminal, answer } = ask();
    terminal.write(`K7${typed}`);
    expect(await failureOf(answer)).toBe('interrupted');
    expect(terminal.rawModes).toEqual([true, false]);
  });

  it('is interrupted when the terminal goes away', async () => {
    const { terminal, answer } = ask();
    terminal.end('K7');
    expect(await failureOf(answer)).toBe('interrupted');
  });

  it('refuses to ask where there is no terminal', async () => {
    expect(await failureOf(promptSecret(new PassThrough(), new PassThrough(), '?'))).toBe('usage');
  });
});

describe('first line of stdin', () => {
  it.each([
    ['with a line end', ['K7QM-', '482913\nrest']],
    ['without', ['K7QM-482913']],
    ['with CR LF', ['K7QM-482913\r\n']],
  ])('is read %s', async (_what, chunks) => {
    expect(await readFirstLine(Readable.from(chunks))).toBe('K7QM-482913');
  });

  it.each([
    ['empty', ''],
    ['blank', ' \n'],
    ['too long', 'x'.repeat(5_000)],
  ])('is a usage error when %s', async (_what, text) => {
    expect(await failureOf(readFirstLine(Readable.from([text])))).toBe('usage');
  });
});
