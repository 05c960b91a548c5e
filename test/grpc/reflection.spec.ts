import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TestDoor } from './test-door.js';

const SYMBOL = Buffer.from('palyra.controlplane.v1.ControlPlane');
/** Field 4 of `ServerReflectionRequest`: file_containing_symbol. */
const REQUEST = framed(Buffer.concat([Buffer.from([0x22, SYMBOL.length]), SYMBOL]));
/** Far more than the windows of HTTP/2 and all buffers on the way take. */
const REQUESTS = 10_000;

describe.each(['v1', 'v1alpha'])('grpc.reflection.%s', (version) => {
  let door: TestDoor;
  let session: ClientHttp2Session;

  beforeEach(async () => {
    door = await TestDoor.open();
    session = connect(`https://${door.target}`, { ca: door.root.pem, servername: 'localhost' });
    session.on('error', () => undefined);
  });

  afterEach(async () => {
    session.destroy();
    await door.close();
  });

  function ask(): ClientHttp2Stream {
    const stream = session.request({
      ':method': 'POST',
      ':path': `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => undefined);
    return stream;
  }

  it('tells what a service is made of', async () => {
    const stream = ask();
    stream.end(REQUEST);
    const answer: Buffer[] = [];
    for await (const chunk of stream) answer.push(chunk as Buffer);
    expect(Buffer.concat(answer).includes('ApproveNodePairingRequest')).toBe(true);
  });

  it('does not hear a caller who does not read', async () => {
    const stream = ask();
    stream.pause();
    const heard = new Promise<string>((resolve) => {
      stream.write(Buffer.alloc(REQUESTS * REQUEST.length, REQUEST), () => {
        resolve('all heard');
      });
    });
    expect(await Promise.race([heard, sleep(2_000, 'held back')])).toBe('held back');

    // Whoever reads is heard again.
    stream.resume();
    expect(await heard).toBe('all heard');
  }, 60_000);
});

/** A message of gRPC: not compressed, and its length. */
function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
