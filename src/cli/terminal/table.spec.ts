import { describe, expect, it } from '@jest/globals';
import { fieldLines, tableLines } from './table.js';

describe('table', () => {
  it('aligns columns and leaves no blanks at the end', () => {
    expect(
      tableLines(
        ['ID', 'STATE', 'PLATFORM'],
        [
          ['a', 'pending', 'linux'],
          ['long-id', 'ok', ''],
        ],
      ),
    ).toEqual(['ID       STATE    PLATFORM', 'a        pending  linux', 'long-id  ok']);
  });

  it('keeps a cell on its line, whatever it holds', () => {
    const lines = tableLines(['PLATFORM', 'STATE'], [['x\u001b[1A\nfake', 'pending']]);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toBe('x\\u{1b}[1A\\u{a}fake  pending');
  });

  it('aligns the values of fields, and shows that one is empty', () => {
    expect(
      fieldLines([
        ['device', '01K9'],
        ['words', 'a b'],
        ['reason', ''],
      ]),
    ).toEqual(['device  01K9', 'words   a b', 'reason  -']);
  });
});
