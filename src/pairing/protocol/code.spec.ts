import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { DomainError } from '../../errors/domain-error.js';
import { systemRandomBytes } from '../../random/random-bytes.js';
import { codeKindOf, formatPinCode, newCodeId, newPin, parsePinCode } from './code.js';
import { formatLink, parseCodeOrLink, parseLink } from './link.js';

interface CodeVectors {
  pins: {
    accepted: { text: string; code_id: string; pin: string; canonical: string }[];
    refused: { text: string; reason: string }[];
  };
  links: {
    accepted: {
      text: string;
      endpoint: string;
      code_id: string;
      secret: string;
      ca: string;
      canonical: string;
    }[];
    refused: { text: string; reason: string }[];
  };
}
const vectors = JSON.parse(readFileSync('test/vectors/code.json', 'utf8')) as CodeVectors;

function refusal(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    if (error instanceof DomainError && error.kind === 'malformed') return error.reason;
    throw error;
  }
  return 'accepted';
}

describe('PIN codes', () => {
  it.each(vectors.pins.accepted)('reads $text', ({ text, code_id, pin, canonical }) => {
    expect(parsePinCode(text)).toEqual({ kind: 'pin', codeId: code_id, pin });
    expect(parseCodeOrLink(text)).toEqual(parsePinCode(text));
    expect(formatPinCode({ codeId: code_id, pin })).toBe(canonical);
  });

  it.each(vectors.pins.refused)('refuses $text: $reason', ({ text, reason }) => {
    expect(refusal(() => parsePinCode(text))).toBe(`CODE_${reason.toUpperCase()}`);
  });
});

describe('links', () => {
  it.each(vectors.links.accepted)('reads $text', ({ text, code_id, secret, ca, endpoint, canonical }) => {
    const code = {
      kind: 'link' as const,
      codeId: code_id,
      endpoint,
      secret: Buffer.from(secret, 'hex'),
      ca: Buffer.from(ca, 'hex'),
    };
    expect(parseLink(text)).toEqual(code);
    expect(parseCodeOrLink(text)).toEqual(code);
    expect(formatLink(code)).toBe(canonical);
  });

  it.each(vectors.links.refused)('refuses $text: $reason', ({ text, reason }) => {
    const expected = reason === 'not_a_link' ? 'NOT_A_LINK' : `LINK_${reason.toUpperCase()}`;
    expect(refusal(() => parseLink(text))).toBe(expected);
  });

  it('of a later version are called that, whatever else they hold', () => {
    expect(refusal(() => parseLink('palyra://pair?v=3&name=x'))).toBe('LINK_VERSION');
  });

  it.each([
    ['a fragment', '#x', 'NOT_A_LINK'],
    ['a blank inside', ' x', 'NOT_A_LINK'],
    ['an escaped name', '&%63a=x', 'LINK_PARAMETER_UNKNOWN'],
  ])('do not hold %s', (_case, tail, reason) => {
    expect(refusal(() => parseLink(vectors.links.accepted[0]!.canonical + tail))).toBe(reason);
  });

  it.each([
    '0x7f.1:7443',
    '1:7443',
    '-a.org:7443',
    'a-.org:7443',
    'a.org.:7443',
    '[::1:7443',
    '::1]:7443',
    '[]:1',
  ])('refuse the endpoint %s', (endpoint) => {
    const link = formatLink({ ...parseLink(vectors.links.accepted[0]!.canonical), endpoint });
    expect(refusal(() => parseLink(link))).toBe('LINK_ENDPOINT');
  });
});

const codeIdOf = (length: number): fc.Arbitrary<string> =>
  fc.stringMatching(new RegExp(`^[0-9A-HJKMNP-TV-Z]{${length}}$`));
const bytesOf = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes));
const anyPinCode = fc.record({
  kind: fc.constant('pin' as const),
  codeId: codeIdOf(4),
  pin: fc.stringMatching(/^[0-9]{6}$/),
});
const anyHost = fc.oneof(
  fc.domain().filter((name) => name.length <= 200),
  fc.ipV4(),
  fc.ipV6().map((address) => `[${address}]`),
);
const anyLinkCode = fc.record({
  kind: fc.constant('link' as const),
  codeId: codeIdOf(8),
  secret: bytesOf(16),
  ca: bytesOf(32),
  endpoint: fc.tuple(anyHost, fc.integer({ min: 1, max: 65535 })).map(([host, port]) => `${host}:${port}`),
});

describe('codes and links', () => {
  it('read back what they wrote', () => {
    fc.assert(
      fc.property(anyPinCode, (code) => {
        expect(parseCodeOrLink(formatPinCode(code))).toEqual(code);
      }),
    );
    fc.assert(
      fc.property(anyLinkCode, (code) => {
        expect(parseCodeOrLink(formatLink(code))).toEqual(code);
      }),
    );
  });

  it('throw nothing but DomainError, and tell nothing of the text', () => {
    const pieces = fc.constantFrom(
      'palyra://pair?',
      'v=2',
      '&',
      'ca=',
      'secret=',
      '%',
      '=',
      '#',
      '\u0000',
      'K7QM-',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.oneof(pieces, fc.string())).map((all) => all.join('')),
    );
    fc.assert(
      fc.property(text, (given) => {
        expect(refusal(() => parseCodeOrLink(given))).toMatch(
          /^(?:accepted|NOT_A_LINK|(?:CODE|LINK)_[A-Z_]+)$/,
        );
      }),
      { numRuns: 500 },
    );
  });

  it('are told apart by the length of a canonical id', () => {
    expect(['K7QM', '7ZK4M9QX', 'k7qm', 'K7Q', 'K7QMK', 'K7QU', '', 'K7QM\n'].map(codeKindOf)).toEqual([
      'pin',
      'link',
      ...Array<undefined>(6).fill(undefined),
    ]);
  });
});

describe('new codes', () => {
  it('use five bits of a byte for a character', () => {
    expect(newCodeId('pin', () => Buffer.from([0, 31, 32, 255]))).toBe('0Z0Z');
    expect(codeKindOf(newCodeId('link', systemRandomBytes))).toBe('link');
  });

  it('draw a PIN again that would make small ones likelier', () => {
    const draws = ['ffffff', 'f42400', 'f423ff'];
    const random = (): Buffer => Buffer.from(draws.shift()!, 'hex');
    expect(newPin(random)).toBe('999999');
    expect(draws).toEqual([]);
    expect(newPin(() => Buffer.from([0, 0, 7]))).toBe('000007');
  });

  it('give up on a source that is stuck', () => {
    expect(() => newPin((size) => Buffer.alloc(size, 0xff))).toThrow('no PIN in range');
  });
});
