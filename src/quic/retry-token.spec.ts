import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RETRY_TOKEN_LIFETIME_MS, RetryTokens } from './retry-token.js';

const NOW = 1_800_000_000_000;
const KEY = Buffer.alloc(32, 7);
const binding = { address: '192.0.2.1', retrySourceId: Buffer.alloc(20, 1) };
const original = Buffer.from('0102030405060708', 'hex');

describe('RetryTokens', () => {
  const tokens = new RetryTokens(KEY);
  const token = tokens.issue(original, binding, NOW);

  it('gives the original destination id back', () => {
    expect(tokens.verify(token, binding, NOW + 5)).toEqual({ ok: true, originalDestinationId: original });
  });

  it('is good for its lifetime, in both directions of clock skew, and no longer', () => {
    const last = RETRY_TOKEN_LIFETIME_MS;
    expect(tokens.verify(token, binding, NOW + last).ok).toBe(true);
    expect(tokens.verify(token, binding, NOW + last + 1)).toEqual({ ok: false, reason: 'token_expired' });
    expect(tokens.verify(token, binding, NOW - last - 1)).toEqual({ ok: false, reason: 'token_expired' });
  });

  it('is good for one address, one connection id and one key', () => {
    const forged = { ok: false, reason: 'token_forged' };
    expect(tokens.verify(token, { ...binding, address: '192.0.2.2' }, NOW)).toEqual(forged);
    expect(tokens.verify(token, { ...binding, retrySourceId: Buffer.alloc(20, 2) }, NOW)).toEqual(forged);
    expect(new RetryTokens(Buffer.alloc(32, 8)).verify(token, binding, NOW)).toEqual(forged);
  });

  it('does not let bytes move from the connection id to the address', () => {
    const id = Buffer.alloc(19, 1);
    const whole = { address: binding.address, retrySourceId: Buffer.concat([id, Buffer.from('a')]) };
    const shifted = { address: `a${binding.address}`, retrySourceId: id };
    const forged = { ok: false, reason: 'token_forged' };
    expect(tokens.verify(tokens.issue(original, whole, NOW), shifted, NOW)).toEqual(forged);
  });

  it('refuses every change of a bit', () => {
    for (let at = 0; at < token.length * 8; at += 1) {
      const changed = Buffer.from(token);
      changed[at >> 3]! ^= 1 << (at & 7);
      expect(tokens.verify(changed, binding, NOW).ok).toBe(false);
    }
  });

  it('never throws and never accepts random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(tokens.verify(bytes, binding, NOW).ok).toBe(false);
      }),
    );
  });
});
