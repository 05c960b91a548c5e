import { describe, expect, it } from '@jest/globals';
import { BETWEEN_CHANGES_MS, nextRegistration, readClaims } from './registration.js';

const CLAIMS = { platform: 'linux-x64', capabilities: ['camera', 'gpu:2'] };

describe('the params of node.register', () => {
  it.each([
    [CLAIMS],
    [{ platform: 'ä'.repeat(32), capabilities: [] }],
    [{ platform: '', capabilities: Array.from({ length: 32 }, (_, index) => `word${String(index)}`) }],
  ])('are taken: %j', (params) => {
    expect(readClaims(params)).toEqual(params);
  });

  it.each([
    ['a missing list', { platform: 'linux' }],
    ['a field too many', { ...CLAIMS, device_id: 'x' }],
    ['a platform that is too long', { ...CLAIMS, platform: 'x'.repeat(65) }],
    ['a platform with U+0000', { ...CLAIMS, platform: 'a\u0000' }],
    ['a word in upper case', { ...CLAIMS, capabilities: ['GPU'] }],
    ['a word that would colour a terminal', { ...CLAIMS, capabilities: ['\u001b[31m'] }],
    ['a word that is too long', { ...CLAIMS, capabilities: ['x'.repeat(65)] }],
    ['the same word twice', { ...CLAIMS, capabilities: ['gpu', 'gpu'] }],
    [
      'too many words',
      { ...CLAIMS, capabilities: Array.from({ length: 33 }, (_, index) => `w${String(index)}`) },
    ],
  ])('are refused: %s', (_name, params) => {
    expect(() => readClaims(params)).toThrow(expect.objectContaining({ reason: 'INVALID_PARAMS' }));
  });
});

describe('a registration', () => {
  const before = { ...CLAIMS, registeredAt: 1_000_000 };

  it('is the first, or none when nothing is new', () => {
    expect(nextRegistration(undefined, CLAIMS, 5)).toEqual({ ...CLAIMS, registeredAt: 5 });
    expect(nextRegistration(before, { ...CLAIMS }, before.registeredAt + 1)).toBeUndefined();
  });

  it('is not changed again at once', () => {
    const other = { ...CLAIMS, platform: 'linux-arm64' };
    expect(() => nextRegistration(before, other, before.registeredAt + 1_000)).toThrow(
      expect.objectContaining({ reason: 'TOO_MANY_REGISTRATIONS', retryAfterMs: BETWEEN_CHANGES_MS - 1_000 }),
    );
    const later = before.registeredAt + BETWEEN_CHANGES_MS;
    expect(nextRegistration(before, other, later)).toEqual({ ...other, registeredAt: later });
  });

  it('does not wait for a clock that was set back', () => {
    expect(nextRegistration(before, { ...CLAIMS, capabilities: [] }, 10)).toMatchObject({ registeredAt: 10 });
  });
});
