import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { z } from 'zod';
import {
  count,
  duration,
  endpoints,
  listOf,
  parseDuration,
  parseHostPort,
  parseSize,
  serverNames,
  trustDomain,
} from './values.js';
import { type HostPort, formatHostPort } from '../network/network-address.js';

function problemOf(schema: z.ZodType, value: unknown): string {
  const result = schema.safeParse(value);
  return result.success ? 'accepted' : result.error.issues.map((issue) => issue.message).join('; ');
}

describe('durations', () => {
  it.each([
    ['250ms', 250],
    ['10s', 10_000],
    ['10m', 600_000],
    ['24h', 86_400_000],
    ['30d', 2_592_000_000],
    ['1h30m', 5_400_000],
    ['0s', 0],
  ])('reads %s', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each(['', '10', '10 s', '-1s', '1.5h', '10S', 's', '10s!', 'm10', '1e3s'])('refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow('write a duration with its unit');
  });

  it('keeps to its range', () => {
    expect(problemOf(duration('1s', '1h'), '2h')).toBe('write a duration from 1s to 1h');
  });
});

describe('sizes', () => {
  it.each([
    ['512B', 512],
    ['64KiB', 65_536],
    ['64 KiB', 65_536],
    ['1MiB', 1_048_576],
    ['500kB', 500_000],
  ])('reads %s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['64', '64K', '64kib', '1.5MiB', ''])('refuses %j', (text) => {
    expect(() => parseSize(text)).toThrow('write a size with its unit');
  });
});

describe('count', () => {
  it.each(['0', '11', '1.5', '0x5', '-1', '1e1', ''])('refuses %j', (text) => {
    expect(problemOf(count(1, 10), text)).toBe('write a whole number from 1 to 10');
  });

  it('takes numbers of the file and text of the environment', () => {
    expect([count(1, 10).parse(7), count(1, 10).parse('7')]).toEqual([7, 7]);
  });

  it('says that one value is wanted where a list was written', () => {
    expect(problemOf(count(1, 10), [1, 2])).toBe('must be one value, not a list or a map');
  });
});

describe('host:port', () => {
  it.each([
    ['127.0.0.1:7443', { host: '127.0.0.1', port: 7443 }],
    ['[::1]:0', { host: '::1', port: 0 }],
    ['[2001:DB8::1]:65535', { host: '2001:db8::1', port: 65_535 }],
    ['Palyra.Example:1', { host: 'palyra.example', port: 1 }],
  ])('reads %s', (text, address) => {
    expect(parseHostPort(text, 0)).toEqual(address);
  });

  it.each([
    ['7443', 'write host:port'],
    [':7443', 'write the host too'],
    ['::1:7443', 'write host:port'],
    ['[127.0.0.1]:1', 'write an IPv6 address'],
    ['[fe80::1%eth0]:1', 'write an IPv6 address without a zone'],
    ['a.example:65536', 'port from 0 to 65535'],
    ['a.example:01', 'write host:port'],
    ['1.2.3:1', 'write a DNS name'],
    ['256.1.1.1:1', 'write a DNS name'],
    ['*:1', 'write a DNS name'],
    ['http://a.example:1', 'write host:port'],
  ])('refuses %s', (text, problem) => {
    expect(() => parseHostPort(text, 0)).toThrow(problem);
  });

  it('wants a port that others can dial in an endpoint', () => {
    expect(problemOf(endpoints, 'a.example:0')).toContain('port from 1 to 65535');
  });

  it('reads back what it writes', () => {
    const host = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.domain().map((name) => name.toLowerCase()),
    );
    fc.assert(
      fc.property(host, fc.integer({ min: 0, max: 65_535 }), (name, port) => {
        const address: HostPort = { host: name, port };
        expect(parseHostPort(formatHostPort(address), 0)).toEqual({ host: name.toLowerCase(), port });
      }),
    );
  });
});

describe('names', () => {
  it.each([
    ['Example.org', 'lower case'],
    ['a_b.example', 'write a DNS name'],
    ['-a.example', 'write a DNS name'],
    ['a..example', 'write a DNS name'],
    ['a.example.', 'write a DNS name'],
    ['10.0.0.1', 'write a DNS name'],
    ['bücher.example', 'write a DNS name'],
    [`${'a'.repeat(60)}.`.repeat(4) + 'example', 'at most 239 characters'],
  ])('refuses the trust domain %s', (text, problem) => {
    expect(problemOf(trustDomain, text)).toContain(problem);
  });

  it('takes DNS names in any case once, and IP addresses with or without brackets', () => {
    const names = serverNames.parse('A.example, a.EXAMPLE,10.0.0.1, [2001:DB8::1],,2001:db8::1');
    expect(names).toEqual(['a.example', '10.0.0.1', '2001:db8::1']);
  });

  it('names each server name that it refuses', () => {
    expect(problemOf(serverNames, 'ok.example,*.example,b_d')).toMatch(/\*\.example: .*; b_d: /);
  });

  it('refuses lists in lists', () => {
    expect(problemOf(listOf(String), [['a']])).toBe('must be one value, not a list or a map');
    expect(problemOf(listOf(String), [{ a: 1 }])).toBe('must be one value, not a list or a map');
  });
});
