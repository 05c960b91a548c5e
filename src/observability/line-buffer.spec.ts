import { describe, expect, it } from '@jest/globals';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LineBuffer } from './line-buffer.js';

function gathered(): { writes: string[]; buffer: LineBuffer } {
  const writes: string[] = [];
  return { writes, buffer: new LineBuffer({ write: (text) => writes.push(text) }) };
}

describe('LineBuffer', () => {
  it('writes the lines of a turn at once and in order', async () => {
    const { writes, buffer } = gathered();
    buffer.write('one\n');
    buffer.write('two\n');
    expect(writes).toEqual([]);
    await nextTurn();
    expect(writes).toEqual(['one\ntwo\n']);
    buffer.write('three\n');
    await nextTurn();
    expect(writes).toEqual(['one\ntwo\n', 'three\n']);
  });

  it('writes what it holds when it is told to, once', async () => {
    const { writes, buffer } = gathered();
    buffer.write('last words\n');
    buffer.flush();
    expect(writes).toEqual(['last words\n']);
    await nextTurn();
    buffer.flush();
    expect(writes).toEqual(['last words\n']);
  });

  it('does not let a turn pile up more than 64 KiB', () => {
    const { writes, buffer } = gathered();
    const line = `${'x'.repeat(1023)}\n`;
    for (let count = 0; count < 100; count += 1) buffer.write(line);
    expect(writes).toEqual([line.repeat(64)]);
  });
});
