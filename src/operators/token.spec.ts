import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DomainError } from '../errors/domain-error.js';
import { systemRandomBytes } from '../random/random-bytes.js';
import {
  formatOperatorToken,
  hashTokenSecret,
  newOperatorToken,
  parseOperatorToken,
  verifyTokenSecret,
} from './token.js';

interface TokenVectors {
  root: string;
  valid: { text: string; token_id: string; secret: string; ca: string; secret_hash: string }[];
  invalid: { case: string; text: string; reason: string }[];
}
const vectors = JSON.parse(readFileSync('test/vectors/token.json', 'utf8')) as TokenVectors;
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

function refusal(text: string): DomainError {
  try {
    parseOperatorToken(text);
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error('the token was accepted');
}

describe('operator tokens', () => {
  it.each(vectors.valid)('reads and writes $text', ({ text, token_id, secret, ca, secret_hash }) => {
    const token = { tokenId: token_id, secret: hex(secret), ca: hex(ca) };
    expect(text).toHaveLength(122);
    expect(parseOperatorToken(text)).toEqual(token);
    expect(formatOperatorToken(token)).toBe(text);
    expect(hashTokenSecret(token.secret)).toEqual(hex(secret_hash));
    expect(verifyTokenSecret(token.secret, hex(secret_hash))).toBe(true);
  });

  it.each(vectors.invalid)('refuses: $case', ({ text, reason }) => {
    const error = refusal(text);
    expect([error.kind, error.reason]).toEqual(['malformed', `TOKEN_${reason.toUpperCase()}`]);
  });

  it('pins the root of its CA', () => {
    const spki = new X509Certificate(hex(vectors.root)).publicKey.export({ type: 'spki', format: 'der' });
    const ca = createHash('sha256').update(spki).digest();
    expect(parseOperatorToken(vectors.valid[0]!.text).ca).toEqual(ca);
  });

  it('are new each time and read back', () => {
    const ca = Buffer.alloc(32, 3);
    const [one, two] = [newOperatorToken(ca, systemRandomBytes), newOperatorToken(ca, systemRandomBytes)];
    expect(parseOperatorToken(formatOperatorToken(one))).toEqual(one);
    expect(one.tokenId).not.toBe(two.tokenId);
    expect(verifyTokenSecret(two.secret, hashTokenSecret(one.secret))).toBe(false);
  });

  it('are checked against a whole hash only', () => {
    const secret = Buffer.alloc(32, 9);
    expect(verifyTokenSecret(secret, hashTokenSecret(secret).subarray(0, 31))).toBe(false);
    expect(verifyTokenSecret(secret, Buffer.alloc(0))).toBe(false);
  });

  it('name a CA by 32 bytes', () => {
    expect(() => newOperatorToken(Buffer.alloc(31), systemRandomBytes)).toThrow(RangeError);
  });

  it('have one spelling, and what is none is refused with a reason that shows nothing of it', () => {
    const near = fc.tuple(fc.constantFrom(...vectors.valid), fc.nat(121), fc.string({ maxLength: 2 }));
    const altered = near.map(([{ text }, at, by]) => text.slice(0, at) + by + text.slice(at + 1));
    fc.assert(
      fc.property(fc.oneof(altered, fc.string()), (text) => {
        try {
          expect(formatOperatorToken(parseOperatorToken(text))).toBe(text);
        } catch (error) {
          if (!(error instanceof DomainError)) throw error;
          expect(error.message).not.toContain(vectors.valid[0]!.text.slice(17, 69));
        }
      }),
      { numRuns: 500 },
    );
  });
});
