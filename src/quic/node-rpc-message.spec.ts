import { describe, expect, it } from '@jest/globals';
import { DomainError } from '../errors/domain-error.js';
import { decodeFrameBody, type JsonObject } from './frame-codec.js';
import { errorResponseFor, isUnexpected } from './node-rpc-error.js';
import {
  errorResponse,
  eventResponse,
  healthResponse,
  parseNodeRequest,
  parseNodeResponse,
  requestFrame,
  resultResponse,
} from './node-rpc-message.js';

const reasonOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return error instanceof DomainError ? error.reason : String(error);
  }
  return 'none';
};

const parsed = (text: string): JsonObject => decodeFrameBody(Buffer.from(text));

describe('parseNodeRequest', () => {
  it('reads what requestFrame writes', () => {
    const frame = requestFrame('node.renew', { resumeFrom: 3, params: { a: 1 } });
    expect(parseNodeRequest(decodeFrameBody(frame.subarray(4)))).toEqual({
      method: 'node.renew',
      resumeFrom: 3,
      params: { a: 1 },
    });
    expect(parseNodeRequest(decodeFrameBody(requestFrame('node.health').subarray(4)))).toEqual({
      method: 'node.health',
      resumeFrom: undefined,
      params: {},
    });
  });

  it.each([
    ['{}', 'PROTOCOL_MISMATCH'],
    ['{"protocol_version":2,"method":"m","later":1}', 'PROTOCOL_MISMATCH'],
    ['{"protocol_version":true,"method":"m"}', 'PROTOCOL_MISMATCH'],
    ['{"__proto__":{"protocol_version":1,"method":"m"}}', 'PROTOCOL_MISMATCH'],
    ['{"protocol_version":1,"method":"m","__proto__":{}}', 'UNKNOWN_FIELD'],
    ['{"protocol_version":1,"method":"m","Params":{}}', 'UNKNOWN_FIELD'],
    ['{"protocol_version":1}', 'INVALID_METHOD'],
    ['{"protocol_version":1,"method":""}', 'INVALID_METHOD'],
    [`{"protocol_version":1,"method":"${'m'.repeat(65)}"}`, 'INVALID_METHOD'],
    ['{"protocol_version":1,"method":"m","resume_from":-1}', 'INVALID_RESUME_FROM'],
    ['{"protocol_version":1,"method":"m","resume_from":-0}', 'INVALID_RESUME_FROM'],
    ['{"protocol_version":1,"method":"m","resume_from":1.5}', 'INVALID_RESUME_FROM'],
    ['{"protocol_version":1,"method":"m","resume_from":9007199254740992}', 'INVALID_RESUME_FROM'],
    ['{"protocol_version":1,"method":"m","resume_from":"1"}', 'INVALID_RESUME_FROM'],
    ['{"protocol_version":1,"method":"m","resume_from":null}', 'INVALID_RESUME_FROM'],
    ['{"protocol_version":1,"method":"m","params":null}', 'INVALID_PARAMS'],
    ['{"protocol_version":1,"method":"m","params":"x"}', 'INVALID_PARAMS'],
  ])('refuses %s', (text, reason) => {
    expect(reasonOf(() => parseNodeRequest(parsed(text)))).toBe(reason);
  });

  it('takes the largest sequence number and zero', () => {
    expect(
      parseNodeRequest(parsed('{"protocol_version":1,"method":"m","resume_from":9007199254740991}')),
    ).toMatchObject({
      resumeFrom: Number.MAX_SAFE_INTEGER,
    });
    expect(parseNodeRequest(parsed('{"protocol_version":1,"method":"m","resume_from":0}')).resumeFrom).toBe(
      0,
    );
  });
});

describe('responses', () => {
  it('have the fields of the protocol', () => {
    expect(healthResponse({ a: 1 })).toEqual({
      protocol_version: 1,
      kind: 'health',
      ok: true,
      node_rpc_mtls_required: true,
      result: { a: 1 },
    });
    expect(resultResponse({})).toEqual({ protocol_version: 1, kind: 'result', ok: true, result: {} });
    expect(eventResponse(7, {})).toEqual({
      protocol_version: 1,
      kind: 'event',
      ok: true,
      seq: 7,
      result: {},
    });
    expect(errorResponse('refused')).toEqual({
      protocol_version: 1,
      kind: 'error',
      ok: false,
      error: 'refused',
    });
  });

  it('are read back, and nothing else is taken for one', () => {
    const health = healthResponse({ a: 1 });
    expect(parseNodeResponse(parsed(JSON.stringify(health)))).toEqual(health);
    expect(reasonOf(() => parseNodeResponse(parsed('{"protocol_version":1,"kind":"x","ok":true}')))).toBe(
      'INVALID_RESPONSE',
    );
    expect(reasonOf(() => parseNodeResponse(parsed('{"protocol_version":1,"kind":"health"}')))).toBe(
      'INVALID_RESPONSE',
    );
    expect(
      reasonOf(() => parseNodeResponse(parsed('{"protocol_version":2,"kind":"health","ok":true}'))),
    ).toBe('INVALID_RESPONSE');
  });
});

describe('errorResponseFor', () => {
  it.each([
    [new DomainError('malformed', 'INVALID_CSR', 'm'), 'invalid_request'],
    [new DomainError('malformed', 'PROTOCOL_MISMATCH', 'm'), 'protocol_mismatch'],
    [new DomainError('malformed', 'UNSUPPORTED_METHOD', 'm'), 'unsupported_method'],
    [new DomainError('malformed', 'FRAME_TOO_LARGE', 'm'), 'frame_too_large'],
    [new DomainError('wrong_state', 'DEVICE_SUSPENDED', 'm'), 'refused'],
    [new DomainError('exhausted', 'RATE_LIMITED', 'm', { retryAfterMs: 5 }), 'refused'],
    [new DomainError('unavailable', 'STORE_FULL', 'm'), 'stream_failure'],
  ])('shows code and reason of %s', (error, code) => {
    const response = errorResponseFor(error);
    expect(response.error).toBe(code);
    expect(response.result).toMatchObject({ reason: error.reason, message: 'm' });
    expect(isUnexpected(error)).toBe(false);
  });

  it.each([
    new Error('secret'),
    'secret',
    new DomainError('corrupt', 'RECORD_DAMAGED', 'secret'),
    new DomainError('internal', 'X', 'secret'),
  ])('shows nothing of %s', (error) => {
    expect(errorResponseFor(error)).toEqual(errorResponse('stream_failure'));
    expect(isUnexpected(error)).toBe(true);
  });
});
