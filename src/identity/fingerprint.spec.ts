import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { fingerprintWords, identityFingerprint } from './fingerprint.js';

interface PairingVector {
  identity: { public_raw: string };
  fingerprint: string;
  words: string[];
}

describe('fingerprint', () => {
  it.each(['pairing-pin', 'pairing-link'])('%s.json', (file) => {
    const vector = JSON.parse(readFileSync(`test/vectors/${file}.json`, 'utf8')) as PairingVector;
    const fingerprint = identityFingerprint(Buffer.from(vector.identity.public_raw, 'hex'));
    expect(fingerprint).toBe(vector.fingerprint);
    expect(fingerprintWords(fingerprint)).toEqual(vector.words);
  });

  it('takes the first 66 bits, highest bit first', () => {
    expect(fingerprintWords('0'.repeat(64))).toEqual(Array(6).fill('abandon'));
    expect(fingerprintWords(`${'f'.repeat(16)}c${'0'.repeat(47)}`)).toEqual(Array(6).fill('zoo'));
  });

  it.each(['', '0'.repeat(63), 'A'.repeat(64), `${'0'.repeat(64)}\n`])('refuses %j', (text) => {
    expect(() => fingerprintWords(text)).toThrow(RangeError);
  });
});
