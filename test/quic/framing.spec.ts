import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { decodeFrameBody, encodeFrame } from '../../src/quic/frame-codec.js';
import type { QuicClient } from '../../src/quic/quic-client.js';
import { requestFrame, type NodeResponse } from '../../src/quic/node-rpc-message.js';
import { TestCa } from '../ca/test-ca.js';
import { eventually, TestDoor } from './quic-door.js';
import { RawPeer } from './raw-peer.js';

describe('node RPC frames and streams', () => {
  let ca: TestCa;
  let door: TestDoor;
  let client: QuicClient;
  let callsBefore: number;

  beforeAll(async () => {
    ca = await TestCa.create();
    door = await TestDoor.open(ca, { settings: { requestTimeoutMs: 20_000 } });
    client = await door.connect(await door.enrolled());
  });

  beforeEach(() => {
    callsBefore = door.handler.calls;
  });

  afterAll(async () => {
    expect((await client.health()).ok).toBe(true);
    await door.close();
  });

  const answerTo = async (bytes: Buffer, fin = true): Promise<NodeResponse> => {
    const responses: NodeResponse[] = [];
    for await (const response of client.streamRaw(bytes, { fin })) responses.push(response);
    expect(responses).toHaveLength(1);
    return responses[0]!;
  };

  const length = (bytes: number): Buffer => {
    const header = Buffer.alloc(4);
    header.writeUInt32BE(bytes);
    return header;
  };

  const framed = (body: Buffer | string): Buffer => {
    const bytes = Buffer.from(body);
    return Buffer.concat([length(bytes.length), bytes]);
  };

  const request = (fields: object): Buffer =>
    encodeFrame({ protocol_version: 1, method: 'node.health', ...fields });

  it('answers when the frame is complete, without waiting for FIN', async () => {
    expect(await answerTo(requestFrame('node.health'), false)).toMatchObject({ ok: true, kind: 'health' });
  });

  it.each([
    ['a length over 512 KiB', length(512 * 1024 + 1), 'frame_too_large', 'FRAME_TOO_LARGE'],
    ['a length of 4 GiB', length(0xffffffff), 'frame_too_large', 'FRAME_TOO_LARGE'],
    ['a truncated length', Buffer.from([0, 0]), 'invalid_request', 'TRUNCATED_FRAME'],
    ['a truncated body', requestFrame('node.health').subarray(0, -1), 'invalid_request', 'TRUNCATED_FRAME'],
    ['nothing', Buffer.alloc(0), 'invalid_request', 'TRUNCATED_FRAME'],
    ['an empty frame', framed(''), 'invalid_request', 'INVALID_JSON'],
    ['text that is not JSON', framed('{'), 'invalid_request', 'INVALID_JSON'],
    ['bytes that are not UTF-8', framed(Buffer.from([0x22, 0xff, 0x22])), 'invalid_request', 'INVALID_UTF8'],
    ['an array', framed('[]'), 'invalid_request', 'NOT_AN_OBJECT'],
    ['deep nesting', framed('['.repeat(200_000)), 'invalid_request', 'JSON_TOO_DEEP'],
    ['version 2', request({ protocol_version: 2 }), 'protocol_mismatch', 'PROTOCOL_MISMATCH'],
    ['version "1"', request({ protocol_version: '1' }), 'protocol_mismatch', 'PROTOCOL_MISMATCH'],
    ['an unknown field', request({ extra: 1 }), 'invalid_request', 'UNKNOWN_FIELD'],
    ['a method that is a number', request({ method: 1 }), 'invalid_request', 'INVALID_METHOD'],
    ['an unsafe resume_from', request({ resume_from: 2 ** 53 }), 'invalid_request', 'INVALID_RESUME_FROM'],
    ['params that are a list', request({ params: [] }), 'invalid_request', 'INVALID_PARAMS'],
    [
      'bytes after the frame',
      Buffer.concat([requestFrame('node.health'), Buffer.from([0])]),
      'invalid_request',
      'BYTES_AFTER_REQUEST',
    ],
    [
      'two frames',
      Buffer.concat([requestFrame('node.health'), requestFrame('node.health')]),
      'invalid_request',
      'BYTES_AFTER_REQUEST',
    ],
  ])('refuses %s', async (_name, bytes, code, reason) => {
    const response = await answerTo(bytes);
    expect(response).toMatchObject({
      protocol_version: 1,
      kind: 'error',
      ok: false,
      error: code,
      result: { reason },
    });
    expect(door.handler.calls).toBe(callsBefore);
  });

  it('refuses bytes that come after the request, while it is being answered', async () => {
    const device = await door.enrolled();
    const own = { chain: device.chain, key: device.key };
    const peer = await RawPeer.open(door.port, { roots: ca.rootPem, own }, { trustDomain: ca.trustDomain });
    await peer.runUntil(() => peer.native.isEstablished());
    peer.native.streamSend(0, requestFrame('test.wait'), false);
    peer.flush();
    await eventually(() => door.handler.calls === callsBefore + 1);
    peer.native.streamSend(0, Buffer.from([0]), false);
    await peer.runUntil(() => [...peer.native.readable()].length > 0);
    const answer = Buffer.alloc(1_000);
    const [bytes = 0] = peer.native.streamRecv(0, answer) ?? [];
    expect(decodeFrameBody(answer.subarray(4, bytes))).toMatchObject({
      error: 'invalid_request',
      result: { reason: 'BYTES_AFTER_REQUEST' },
    });
    peer.close();
  });

  it('ends a request that does not become complete', async () => {
    const hasty = await TestDoor.open(ca, { settings: { requestTimeoutMs: 200 } });
    const slow = await hasty.connect(await hasty.enrolled());
    const half = requestFrame('node.health').subarray(0, 10);
    for await (const response of slow.streamRaw(half, { fin: false })) {
      expect(response).toMatchObject({ error: 'invalid_request', result: { reason: 'REQUEST_TIMEOUT' } });
    }
    expect(hasty.handler.calls).toBe(0);
    await hasty.close();
  });

  it('maps failures of handlers to codes, and shows nothing of the unexpected', async () => {
    expect(await client.call('no.such.method')).toMatchObject({ error: 'unsupported_method' });
    expect(await client.call('test.refuse')).toMatchObject({
      error: 'refused',
      result: { reason: 'CERTIFICATE_CONFLICT' },
    });
    const bug = await client.call('test.bug');
    expect(bug).toEqual({ protocol_version: 1, kind: 'error', ok: false, error: 'stream_failure' });
    expect(door.observer.count('failure')).toBe(1);
  });

  it('takes a request of 500 KiB and gives it back through small windows', async () => {
    const narrow = await door.connect(await door.enrolled(), {
      maxUnreadBytes: 20_000,
      maxUnreadBytesPerStream: 10_000,
    });
    const text = 'ü'.repeat(250_000);
    const response = await narrow.call('test.echo', { params: { text } });
    expect((response.result as { text: string }).text === text).toBe(true);
    const large = await Promise.all(
      [1, 2, 3].map(() => narrow.call('test.large', { params: { bytes: 400 * 1024 } })),
    );
    expect(large.map(({ result }) => (result as { text: string }).text.length)).toEqual([
      409_600, 409_600, 409_600,
    ]);
    await narrow.close();
  });

  it('answers frame_too_large in place of a response over 512 KiB', async () => {
    const response = await client.call('test.large', { params: { bytes: 600 * 1024 } });
    expect(response).toMatchObject({ ok: false, error: 'frame_too_large' });
  });

  it('lets the 33rd stream wait and then proceed', async () => {
    const busy = await door.connect(await door.enrolled());
    await busy.health();
    const before = door.handler.calls;
    const waiting = Array.from({ length: 32 }, () => busy.call('test.wait'));
    await eventually(() => door.handler.calls === before + 32);
    const extra = busy.call('test.echo', { params: { n: 33 } });
    const early = await Promise.race([extra, new Promise((resolve) => setTimeout(resolve, 100, 'waits'))]);
    expect(early).toBe('waits');
    door.handler.release();
    expect((await extra).result).toEqual({ n: 33 });
    expect((await Promise.all(waiting)).every(({ ok }) => ok)).toBe(true);
    for (let round = 0; round < 4; round += 1) {
      const answers = await Promise.all(Array.from({ length: 64 }, () => busy.health()));
      expect(answers.every(({ ok }) => ok)).toBe(true);
    }
    await busy.close();
  });

  it('sends events in order and stops the handler when the device stops reading', async () => {
    const events: (number | undefined)[] = [];
    for await (const { kind, seq } of client.stream('test.events', { params: { count: 100 } })) {
      expect(kind).toBe('event');
      events.push(seq);
    }
    expect(events).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    const cancelled = door.handler.cancelled;
    for await (const { seq } of client.stream('test.events', { params: { count: 1, stay: true } })) {
      expect(seq).toBe(1);
      break;
    }
    await eventually(() => door.handler.cancelled > cancelled);
  });

  it('resets a stream whose reader lets more than the bound pile up', async () => {
    const slow = await door.connect(await door.enrolled(), {
      maxUnreadBytes: 2_000,
      maxUnreadBytesPerStream: 1_000,
    });
    const stream = slow.stream('test.events', { params: { count: 40_000 } });
    let failure: unknown;
    try {
      for await (const event of stream) expect(event.kind).toBe('event');
    } catch (error) {
      failure = error;
    }
    expect(failure).toMatchObject({ reason: 'STREAM_RESET' });
    expect((await slow.health()).ok).toBe(true);
    await slow.close();
  });

  it('holds no more than the bound for requests that are not complete', async () => {
    const hasty = await TestDoor.open(ca, { settings: { requestTimeoutMs: 200 } });
    const greedy = await hasty.connect(await hasty.enrolled());
    const begun = Buffer.concat([length(512 * 1024), Buffer.alloc(1000, 0x20)]);
    const startedAt = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => {
        for await (const response of greedy.streamRaw(begun, { fin: false })) return response.result;
        return undefined;
      }),
    );
    expect(answers.map((result) => (result as { reason: string }).reason)).toEqual(
      answers.map(() => 'REQUEST_TIMEOUT'),
    );
    // Two fit into the bound of 1 MiB at a time; the others are not read before those have had their time.
    expect(performance.now() - startedAt).toBeGreaterThan(4 * 200);
    expect((await greedy.health()).ok).toBe(true);
    await hasty.close();
  });
});
