import { describe, expect, it } from '@jest/globals';
import type { JsonObject } from './frame-codec.js';
import { NodeParams } from './node-params.js';

const refused = expect.objectContaining({ kind: 'malformed', reason: 'INVALID_PARAMS' }) as unknown as Error;
const read = (params: JsonObject): NodeParams => new NodeParams(params);

describe('params of node RPC', () => {
  it('gives what is there in its form', () => {
    const params = read({ text: 'ü', bytes: 'AAE=', words: ['a', 'b'] });
    expect(params.takeText('text', 2)).toBe('ü');
    expect(params.takeBytes('bytes', 2)).toEqual(Buffer.from([0, 1]));
    expect(params.takeWords('words', 2, /^[a-z]$/)).toEqual(['a', 'b']);
    params.end();
  });

  it.each<[string, JsonObject]>([
    ['a text that is missing', {}],
    ['a text that is a number', { x: 1 }],
    ['a text with more bytes than it may have', { x: 'üü' }],
    ['a text with half a surrogate pair', { x: '\ud800' }],
  ])('refuses %s', (_name, params) => {
    expect(() => read(params).takeText('x', 3)).toThrow(refused);
  });

  it.each<[string, JsonObject]>([
    ['bytes that are missing', {}],
    ['bytes without padding', { x: 'AA' }],
    ['too many bytes', { x: 'AAAAAA==' }],
    ['a long text', { x: 'A'.repeat(400_000) }],
    ['a list', { x: [] }],
  ])('refuses %s', (_name, params) => {
    expect(() => read(params).takeBytes('x', 3)).toThrow(refused);
  });

  it.each<[string, JsonObject]>([
    ['words that are missing', {}],
    ['a word in another form', { x: ['A'] }],
    ['a number among words', { x: ['a', 1] }],
    ['a word twice', { x: ['a', 'a'] }],
    ['too many words', { x: ['a', 'b', 'c'] }],
  ])('refuses %s', (_name, params) => {
    expect(() => read(params).takeWords('x', 2, /^[a-z]$/)).toThrow(refused);
  });

  it('refuses a field that nobody asked for, and inherits none', () => {
    expect(() => {
      read({ x: 1 }).end();
    }).toThrow(refused);
    expect(() => read(JSON.parse('{"__proto__": {"x": "a"}}') as JsonObject).takeText('x', 3)).toThrow(
      refused,
    );
  });
});
