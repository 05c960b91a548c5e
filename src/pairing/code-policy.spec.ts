import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DomainError } from '../errors/domain-error.js';
import { type CodePolicy, ORDINARY_POLICY, checkedPolicy, isFor } from './code-policy.js';

const DEVICE = { deviceId: '01M84P62DA2YX24YMVG7WPFSG6', clientKind: 'node' } as const;

function reasonOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof DomainError) return error.reason;
    throw error;
  }
  return 'accepted';
}

const forPattern = (deviceIdPattern: string): CodePolicy => ({ ...ORDINARY_POLICY, deviceIdPattern });

describe('code policy', () => {
  it('is one device of any kind that a person approves, unless more is asked for', () => {
    expect(checkedPolicy('pin')).toEqual(ORDINARY_POLICY);
    expect(isFor(checkedPolicy('link'), DEVICE)).toBe(true);
  });

  it('lets no PIN code serve several devices or approve by itself', () => {
    expect(reasonOf(() => checkedPolicy('pin', { preApproved: true }))).toBe('LINK_CODE_NEEDED');
    expect(reasonOf(() => checkedPolicy('pin', { uses: 2 }))).toBe('LINK_CODE_NEEDED');
    expect(reasonOf(() => checkedPolicy('link', { uses: 2, preApproved: true }))).toBe('accepted');
  });

  it.each([0, -1, 1.5, 10_001, Number.NaN])('refuses %p uses', (uses) => {
    expect(reasonOf(() => checkedPolicy('link', { uses }))).toBe('USES_OUT_OF_RANGE');
  });

  it.each(['01m8*', '01M8[0-9]', '01M8I*', '*'.repeat(65), '01M8 *'])(
    'refuses the pattern %p',
    (deviceIdPattern) => {
      expect(reasonOf(() => checkedPolicy('link', { deviceIdPattern }))).toBe('DEVICE_ID_PATTERN');
    },
  );

  it('is for the kinds that it names', () => {
    const policy = checkedPolicy('link', { clientKinds: ['cli', 'desktop', 'cli'] });
    expect(policy.clientKinds).toEqual(['cli', 'desktop']);
    expect(isFor(policy, DEVICE)).toBe(false);
    expect(isFor(policy, { ...DEVICE, clientKind: 'desktop' })).toBe(true);
  });

  it.each([
    ['01M84P62DA2YX24YMVG7WPFSG6', true],
    ['01M84P62DA2YX24YMVG7WPFSG7', false],
    ['01M84P*', true],
    ['*SG6', true],
    ['01*YX*SG6', true],
    ['01*YX*SG7', false],
    ['01M84P62DA2YX24YMVG7WPFS??', true],
    ['01M84P62DA2YX24YMVG7WPFSG6?', false],
    ['01M84P62DA2YX24YMVG7WPFSG', false],
    ['*', true],
    ['**?**', true],
  ])('the pattern %p matches: %p', (pattern, match) => {
    expect(isFor(forPattern(pattern), DEVICE)).toBe(match);
  });

  it('matches as a regular expression does', () => {
    const text = fc.stringMatching(/^[AB]{1,12}$/);
    const pattern = fc.stringMatching(/^[AB*?]{1,8}$/);
    fc.assert(
      fc.property(text, pattern, (deviceId, deviceIdPattern) => {
        const expression = new RegExp(`^${deviceIdPattern.replaceAll('*', '.*').replaceAll('?', '.')}$`);
        expect(isFor(forPattern(deviceIdPattern), { ...DEVICE, deviceId })).toBe(expression.test(deviceId));
      }),
      { numRuns: 2_000 },
    );
  });

  it('takes little time over a pattern made to take long', () => {
    const began = performance.now();
    isFor(forPattern(`${'*A'.repeat(31)}B`), { ...DEVICE, deviceId: 'A'.repeat(26) });
    // A backtracking matcher needs minutes here.
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});
