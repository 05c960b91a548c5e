import { describe, expect, it } from '@jest/globals';
import { PassThrough } from 'node:stream';
import { ClientError, type ClientFailure } from '../client/client-error.js';
import { RemoteError } from '../client/remote-error.js';
import { SettingsError } from '../config/settings.js';
import { DomainError } from '../errors/domain-error.js';
import { describeError, reportError } from './error-report.js';

describe('error report', () => {
  it.each<[ClientFailure, number]>([
    ['failed', 1],
    ['usage', 2],
    ['refused', 3],
    ['unreachable', 4],
    ['timeout', 5],
    ['interrupted', 130],
  ])('of a client that %s exits with %d', (failure, exitCode) => {
    expect(describeError(new ClientError(failure, 'WHY', 'what'))).toMatchObject({ exitCode, reason: 'WHY' });
  });

  it.each([
    ['a wrong code', new DomainError('unauthenticated', 'CONFIRMATION_FAILED', 'x'), 3],
    ['a malformed code', new DomainError('malformed', 'CODE_LENGTH', 'x'), 2],
    ['a store in use', new DomainError('unavailable', 'STORE_IN_USE', 'x'), 1],
    ['settings', new SettingsError(['x']), 2],
    ['anything else', new Error('x'), 1],
    ['what is no error', 'x', 1],
  ])('of %s', (_what, error, exitCode) => {
    expect(describeError(error)).toMatchObject({ exitCode, message: expect.stringContaining('x') });
  });

  it('says when to try again', () => {
    const error = new RemoteError('RESOURCE_EXHAUSTED', 'TOO_MANY_STARTS', 'slow down', 1_200);
    expect(describeError(error)).toMatchObject({ advice: 'try again in 2 s', retryAfterMs: 1_200 });
  });

  it('prints what happened and what to do, and lets nothing through to the terminal', () => {
    const stderr = new PassThrough();
    const error = new ClientError('refused', 'REJECTED', 'rejected: \u001b[2Jno', { advice: 'ask' });
    expect(reportError(error, stderr, false)).toBe(3);
    expect(String(stderr.read())).toBe('rejected: \\u{1b}[2Jno\nask\n');
  });

  it('is one object with --json', () => {
    const stderr = new PassThrough();
    reportError(new ClientError('timeout', 'TIMEOUT', '10s have passed'), stderr, true);
    expect(JSON.parse(String(stderr.read()))).toEqual({
      error: 'TIMEOUT',
      exitCode: 5,
      message: '10s have passed',
    });
  });
});
