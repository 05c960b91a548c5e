import { describe, expect, it } from '@jest/globals';
import { closeError } from './close-error.js';
import { CLOSE_CODE } from './node-connections.js';
import { errorResponse } from './node-rpc-message.js';
import { responseError } from './response-error.js';

describe('closeError', () => {
  it.each(Object.entries(CLOSE_CODE))('has a reason for close code %s', (name, code) => {
    const error = closeError({ by: 'peer', application: true, code });
    expect(error.reason).toBe(name.toUpperCase());
    expect(error.message).not.toBe('');
  });

  it.each([
    [{ by: 'peer', application: true, code: 99 }, 'unavailable', 'CONNECTION_CLOSED'],
    [{ by: 'peer', application: false, code: 2 }, 'exhausted', 'CONNECTION_REFUSED'],
    [{ by: 'peer', application: false, code: 372 }, 'unauthenticated', 'CERTIFICATE_REQUIRED'],
    [{ by: 'peer', application: false, code: 256 + 80 }, 'unauthenticated', 'TLS_ALERT_80'],
    [{ by: 'local', application: false, code: 304 }, 'unauthenticated', 'FALSE_SERVER'],
    [{ by: 'peer', application: false, code: 10 }, 'unavailable', 'TRANSPORT_ERROR'],
    [{ by: 'peer', application: false, code: undefined }, 'unavailable', 'CONNECTION_RESET'],
    [{ by: 'timeout', application: false, code: undefined }, 'unavailable', 'CONNECTION_LOST'],
  ] as const)('reads %j', (end, kind, reason) => {
    expect(closeError(end)).toMatchObject({ kind, reason });
  });
});

describe('responseError', () => {
  it('takes the reason of the server, else the code', () => {
    const refused = errorResponse('refused', { reason: 'CERTIFICATE_CONFLICT', message: 'm' });
    expect(responseError(refused)).toMatchObject({
      kind: 'wrong_state',
      reason: 'CERTIFICATE_CONFLICT',
      message: 'm',
    });
    expect(responseError(errorResponse('stream_failure'))).toMatchObject({
      kind: 'unavailable',
      reason: 'STREAM_FAILURE',
    });
  });

  it('takes when to try again, where it is a time', () => {
    const at = (wait: unknown): number | undefined =>
      responseError(errorResponse('refused', { reason: 'TOO_SOON', retry_after_ms: wait })).retryAfterMs;
    expect(at(5_000)).toBe(5_000);
    for (const wait of [-1, 0.5, '5000', null, undefined, 1e300]) expect(at(wait)).toBeUndefined();
  });

  it('takes nothing that does not look like a reason', () => {
    const odd = errorResponse('refused', { reason: '\u001b[31mred', message: 5 });
    expect(responseError(odd).reason).toBe('REFUSED');
    expect(responseError({ ...odd, error: 'new_code' })).toMatchObject({
      kind: 'internal',
      reason: 'REMOTE_ERROR',
    });
  });
});
