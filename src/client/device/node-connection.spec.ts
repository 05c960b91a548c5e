import { describe, expect, it } from '@jest/globals';
import { describeError } from '../../cli/error-report.js';
import { DomainError, type ErrorKind } from '../../errors/domain-error.js';
import { closeError } from '../../quic/close-error.js';
import { errorResponseFor } from '../../quic/node-rpc-error.js';
import { responseError } from '../../quic/response-error.js';
import { nodeFailure } from './node-connection.js';

/** What the command tells of an error of the service, once it has been over the wire. */
const toldOfAnswer = (error: DomainError): unknown =>
  describeError(nodeFailure(responseError(errorResponseFor(error))));

describe('nodeFailure', () => {
  it.each<[ErrorKind, string, number]>([
    ['malformed', 'INVALID_PARAMS', 2],
    ['malformed', 'UNSUPPORTED_METHOD', 1],
    ['malformed', 'PROTOCOL_MISMATCH', 1],
    ['wrong_state', 'RESUME_FROM_AHEAD', 1],
    ['unavailable', 'STORE_FULL', 4],
  ])('of an answer that is %s, %s, ends with exit code %d', (kind, reason, exitCode) => {
    expect(toldOfAnswer(new DomainError(kind, reason, 'what'))).toMatchObject({ reason, exitCode });
  });

  it('of what our own side finds unusable is no wrong use', () => {
    const error = new DomainError('malformed', 'IDENTITY_UNUSABLE', 'what');
    expect(describeError(nodeFailure(error))).toMatchObject({ exitCode: 1 });
  });

  it('says when to try again', () => {
    const error = new DomainError('exhausted', 'TOO_MANY_REGISTRATIONS', 'just now', { retryAfterMs: 4_200 });
    expect(toldOfAnswer(error)).toMatchObject({ advice: 'try again in 5 s', retryAfterMs: 4_200 });
  });

  it.each([
    ['SERVER_UNREACHABLE', 'unavailable', /address.*port.*UDP/],
    ['CONNECT_TIMEOUT', 'unavailable', /address.*port.*UDP/],
    ['RESUME_FROM_AHEAD', 'wrong_state', /without --resume-from/],
  ] as const)('says what to do about %s', (reason, kind, advice) => {
    const told = describeError(nodeFailure(new DomainError(kind, reason, 'what')));
    expect(told).toMatchObject({ reason, message: 'what', advice: expect.stringMatching(advice) });
  });

  it.each([
    ['UNKNOWN_CA', 'peer', 48, /another cluster.*--endpoint.*pair again/],
    ['CERTIFICATE_EXPIRED', 'peer', 45, /palyra node renew/],
    ['FALSE_SERVER', 'local', 48, /check the address.*do not go on/],
  ] as const)('says what to do about %s in the handshake', (reason, by, alert, advice) => {
    const error = closeError({ by, application: false, code: 0x100 + alert });
    const told = describeError(nodeFailure(error));
    expect(told).toMatchObject({ reason, exitCode: 3, advice: expect.stringMatching(advice) });
  });
});
