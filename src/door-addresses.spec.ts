import { describe, expect, it } from '@jest/globals';
import { advertisedEndpoints } from './door-addresses.js';

const at = (host: string, port = 7443): { host: string; port: number } => ({ host, port });

describe('advertisedEndpoints', () => {
  it.each([
    [
      'what the settings say',
      [at('a.example', 1), at('b.example', 2)],
      ['c.example'],
      at('0.0.0.0'),
      ['a.example:1', 'b.example:2'],
    ],
    [
      'the first server name and the bound port',
      [],
      ['c.example', 'd.example'],
      at('0.0.0.0'),
      ['c.example:7443'],
    ],
    ['an IPv6 address in brackets', [], ['2001:db8::1'], at('::'), ['[2001:db8::1]:7443']],
    ['the bound address', [], [], at('127.0.0.1', 40001), ['127.0.0.1:40001']],
    ['localhost for a wildcard', [], [], at('::'), ['localhost:7443']],
    ['nothing before the door listens', [], ['c.example'], undefined, []],
  ])('tells %s', (_what, advertised, names, bound, expected) => {
    expect(advertisedEndpoints(advertised, names, bound)).toEqual(expected);
  });
});
