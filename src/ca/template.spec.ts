import { describe, expect, it } from '@jest/globals';
import { latestRenewalTime, renewalTime } from './renewal-time.js';
import { randomSerial, validityOf } from './template.js';

const NOW = Date.UTC(2026, 5, 1, 12, 0, 0, 700);
const CA = { notBefore: Date.UTC(2026, 0, 1), notAfter: Date.UTC(2027, 0, 1) };
const HOUR = 3_600_000;

describe('validity', () => {
  it('starts 60 s before issue and ends with the lifetime, in whole seconds', () => {
    expect(validityOf(NOW, HOUR, CA)).toEqual({ notBefore: NOW - 700 - 60_000, notAfter: NOW - 700 + HOUR });
  });

  it('stays inside the CA’s', () => {
    expect(validityOf(CA.notBefore + 1000, HOUR, CA).notBefore).toBe(CA.notBefore);
    expect(validityOf(CA.notAfter - 1000, HOUR, CA).notAfter).toBe(CA.notAfter);
  });

  it.each([CA.notBefore - 1, CA.notAfter, CA.notAfter + HOUR])(
    'is refused when the CA is not valid (%d)',
    (now) => {
      expect(() => validityOf(now, HOUR, CA)).toThrow(expect.objectContaining({ reason: 'CA_NOT_VALID' }));
    },
  );

  it.each([0, -1, 999, 1000.5, Number.NaN, Infinity])('is refused for a lifetime of %d ms', (lifetime) => {
    expect(() => validityOf(NOW, lifetime, CA)).toThrow(expect.objectContaining({ reason: 'LIFETIME' }));
  });
});

describe('serial numbers', () => {
  it('are 16 octets that do not start with zero', () => {
    const draws = [
      Buffer.alloc(16),
      Buffer.concat([Buffer.of(0), Buffer.alloc(15, 9)]),
      Buffer.alloc(16, 0xff),
    ];
    expect(randomSerial(() => draws.shift()!).equals(Buffer.alloc(16, 0xff))).toBe(true);
  });

  it('are not made from a source that gives only zeros, or too little', () => {
    for (const broken of [Buffer.alloc(16), Buffer.alloc(15, 1)]) {
      expect(() => randomSerial(() => broken)).toThrow(expect.objectContaining({ reason: 'RANDOMNESS' }));
    }
  });
});

describe('renewal', () => {
  const life = { issuedAt: NOW, expiresAt: NOW + 24 * HOUR };

  it('is due at two thirds, with jitter down to a half', () => {
    expect(renewalTime(life, 0)).toBe(NOW + 16 * HOUR);
    expect(renewalTime(life, 0.5)).toBe(NOW + 14 * HOUR);
    expect(renewalTime(life, 1)).toBe(NOW + 12 * HOUR);
    expect(latestRenewalTime(life)).toBe(NOW + 16 * HOUR);
  });
});
