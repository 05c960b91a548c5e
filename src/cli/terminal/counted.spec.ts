import { expect, it } from '@jest/globals';
import { counted } from './counted.js';

it.each([
  [0, '0 entries'],
  [1, '1 entry'],
  [1n, '1 entry'],
  [2n, '2 entries'],
])('%s is counted as %s', (count, text) => {
  expect(counted(count, 'entry', 'entries')).toBe(text);
});

it('adds an s where nothing else is said', () => {
  expect([1, 2].map((count) => counted(count, 'record'))).toEqual(['1 record', '2 records']);
});
