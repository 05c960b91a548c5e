import { describe, expect, it } from '@jest/globals';
import { VerifiedSignatures } from './verified-signatures.js';

const certificate = (n: number): Buffer => Buffer.from(`certificate ${n}`);
const unexpected = (): boolean => {
  throw new Error('verified again');
};

describe('VerifiedSignatures', () => {
  it('verifies a certificate once', () => {
    const verified = new VerifiedSignatures();
    expect(verified.holds(certificate(1), () => true)).toBe(true);
    expect(verified.holds(certificate(1), unexpected)).toBe(true);
  });

  it('remembers nothing of a signature that is wrong', () => {
    const verified = new VerifiedSignatures();
    expect(verified.holds(certificate(1), () => false)).toBe(false);
    expect(verified.holds(certificate(1), () => false)).toBe(false);
    expect(verified.holds(certificate(1), () => true)).toBe(true);
  });

  it('takes a certificate of which one bit differs for another', () => {
    const verified = new VerifiedSignatures();
    const good = certificate(1);
    verified.holds(good, () => true);
    for (let bit = 0; bit < good.length * 8; bit += 1) {
      const bad = Buffer.from(good);
      bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(verified.holds(bad, () => false)).toBe(false);
    }
  });

  it('forgets the oldest when it has enough', () => {
    const verified = new VerifiedSignatures(3);
    for (const n of [1, 2, 3, 4]) verified.holds(certificate(n), () => true);
    for (const n of [2, 3, 4]) expect(verified.holds(certificate(n), unexpected)).toBe(true);
    expect(verified.holds(certificate(1), () => false)).toBe(false);
  });
});
