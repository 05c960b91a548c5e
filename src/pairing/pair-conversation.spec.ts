import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { PairRequest, PairResponse } from '../generated/palyra/controlplane/v1/node_service.js';
import { HANDSHAKE_TIMEOUT_MS, PairConversation } from './pair-conversation.js';
import type { PairingServer, PairingSession } from './pairing-server.js';

const hello = { message: { $case: 'hello', value: { clientKind: 4 } } } as unknown as PairRequest;
const proof = { message: { $case: 'proof', value: {} } } as unknown as PairRequest;
const nothing: PairRequest = { message: undefined };

/** Lets everything happen that waits for no timer. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a Pair call', () => {
  const told: string[] = [];
  let ended: number;
  let beginning: Promise<void>;
  let conversation: PairConversation;

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick'] });
    told.length = 0;
    ended = 0;
    beginning = Promise.resolve();
    const welcome = { grpcEndpoints: [], quicEndpoints: [], roots: [], epoch: 1, sequence: 1 };
    const finish = (): Promise<string> => Promise.resolve('request-1');
    const session = { welcome, finish, end: () => (ended += 1) } as unknown as PairingSession;
    const server = { begin: () => beginning.then(() => session) } as unknown as PairingServer;
    const answers = {
      next: (answer: PairResponse) => told.push(answer.message?.$case ?? ''),
      error: (error: unknown) => told.push((error as { reason: string }).reason),
      complete: () => told.push('complete'),
    };
    const observer = {
      pairingEnded: (outcome: string) => told.push(`(${outcome})`),
      pairingDecided: () => 0,
    };
    conversation = new PairConversation(server, '192.0.2.1', answers, observer);
  });
  afterEach(() => {
    conversation.end();
    jest.useRealTimers();
  });

  async function send(...requests: PairRequest[]): Promise<void> {
    for (const request of requests) {
      conversation.next(request);
      await settled();
    }
  }

  it('is hello, welcome, proof, receipt', async () => {
    await send(hello, proof);
    expect(told).toEqual(['welcome', 'receipt', '(requested)', 'complete']);
    expect(ended).toBe(1);
  });

  it.each([
    ['a proof without hello', [proof]],
    ['a second hello', [hello, hello]],
    ['an empty message', [nothing]],
    ['an empty message in place of the proof', [hello, nothing]],
  ])('is over with %s', async (_what, requests) => {
    await send(...requests, hello, proof);
    expect(told.slice(-2)).toEqual(['(malformed)', 'UNEXPECTED_MESSAGE']);
    expect(told).not.toContain('receipt');
    expect(ended).toBe(requests.length - 1);
  });

  it('takes no proof while hello is being answered', async () => {
    let answer: () => void = () => undefined;
    beginning = new Promise((resolve) => (answer = resolve));
    await send(hello, proof);
    answer();
    await settled();
    expect(told).toEqual(['(malformed)', 'UNEXPECTED_MESSAGE']);
  });

  it('takes 30 s at most', async () => {
    await send(hello);
    jest.advanceTimersByTime(HANDSHAKE_TIMEOUT_MS);
    expect(told.slice(1)).toEqual(['(timeout)', 'HANDSHAKE_TIMEOUT']);
    expect(ended).toBe(1);
    await send(proof);
    expect(told).not.toContain('receipt');
  });

  it('gives the session back that comes when the caller has gone', async () => {
    let answer: () => void = () => undefined;
    beginning = new Promise((resolve) => (answer = resolve));
    await send(hello);
    conversation.end();
    answer();
    await settled();
    expect(told).toEqual(['(abandoned)']);
    expect(ended).toBe(1);
  });
});
