import { once } from 'node:events';
import { type Http2Session, connect as connectHttp2 } from 'node:http2';
import { type Socket, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Metadata, status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from '@jest/globals';
import { remoteError } from '../../src/client/remote-error.js';
import { TestDoor, ownMethods, roleMetadata, statusOfCall } from './test-door.js';

const TRUST_BUNDLE = '/palyra.controlplane.v1.NodeService/GetTrustBundle';
const GET_STATUS = '/palyra.controlplane.v1.ControlPlane/GetStatus';
const KIB = 1024;

describe('bounds of the gRPC door', () => {
  let door: TestDoor;
  const sockets: Socket[] = [];

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await door.close();
  });

  async function answer(path: string, metadata: Metadata, bytes: number): Promise<string> {
    const method = ownMethods.find((each) => each.path === path)!;
    const result = await statusOfCall(door.controlPlane(), method, metadata, unknownField(bytes));
    return result.code === status.OK ? 'OK' : remoteError(result as never).reason;
  }

  /** A message of so many bytes in a field that no message has: protobuf reads past it. */
  function unknownField(bytes: number): Buffer {
    const message = Buffer.alloc(bytes);
    // Field 2047 with a length, which takes three bytes here.
    message.set([0xfa, 0x7f, 0x80, 0x80, 0x80, 0x00]);
    const length = bytes - 6;
    message.set(
      [(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, ((length >> 14) & 0x7f) | 0x80, 0],
      2,
    );
    return message;
  }

  function tcp(): Socket {
    const socket = connect(door.server.address.port, '127.0.0.1');
    socket.on('error', () => undefined);
    sockets.push(socket);
    return socket;
  }

  /** Whether the connection is reset; one that is let in counts as open. */
  async function refused(socket: Socket): Promise<boolean> {
    const open = door.openConnections;
    const closed = new Promise<boolean>((resolve) => {
      socket.once('close', () => {
        resolve(true);
      });
    });
    const counted = (async (): Promise<boolean> => {
      while (!socket.destroyed && door.openConnections <= open) await sleep(5);
      return socket.destroyed;
    })();
    return Promise.race([closed, counted]);
  }

  it('takes 64 KiB from strangers and what is set from operators', async () => {
    door = await TestDoor.open();
    expect(await answer(TRUST_BUNDLE, new Metadata(), 64 * KIB)).toBe('OK');
    expect(await answer(TRUST_BUNDLE, new Metadata(), 64 * KIB + 1)).toBe('MESSAGE_TOO_LARGE');
    expect(await answer(TRUST_BUNDLE, roleMetadata('admin'), 64 * KIB + 1)).toBe('MESSAGE_TOO_LARGE');
    expect(await answer(GET_STATUS, roleMetadata('viewer'), 256 * KIB)).toBe('OK');
    expect(await answer(GET_STATUS, roleMetadata('viewer'), 256 * KIB + 1)).toBe('RESOURCE_EXHAUSTED');
  });

  it('gives a connection 32 streams', async () => {
    door = await TestDoor.open();
    const session: Http2Session = connectHttp2(`https://${door.target}`, {
      ca: door.root.pem,
      servername: 'localhost',
    });
    const [settings] = (await once(session, 'remoteSettings')) as [{ maxConcurrentStreams: number }];
    session.destroy();
    expect(settings.maxConcurrentStreams).toBe(32);
  });

  it('ends a call whose request does not come', async () => {
    door = await TestDoor.open({ environment: { PALYRA_GRPC_RECEIVE_TIMEOUT: '200ms' } });
    const same = (bytes: Buffer): Buffer => bytes;
    const deadline = { deadline: Date.now() + 5_000 };
    const call = door
      .controlPlane()
      .makeBidiStreamRequest(TRUST_BUNDLE, same, same, new Metadata(), deadline);
    const [error] = (await once(call, 'error')) as [Error];
    expect(remoteError(error as never).reason).toBe('REQUEST_TIMEOUT');
  });

  it('resets connections over the bound of all, and gives places back', async () => {
    door = await TestDoor.open({ environment: { PALYRA_GRPC_MAX_CONNECTIONS: '2' } });
    const first = tcp();
    expect(await refused(first)).toBe(false);
    expect(await refused(tcp())).toBe(false);
    expect(await refused(tcp())).toBe(true);
    expect(door.refused).toEqual(['total']);
    first.destroy();
    while (door.openConnections > 1) await sleep(5);
    expect(await refused(tcp())).toBe(false);
  });

  it('resets connections over the bound of one address', async () => {
    door = await TestDoor.open({ environment: { PALYRA_GRPC_MAX_CONNECTIONS_PER_ADDRESS: '1' } });
    const first = tcp();
    expect(await refused(first)).toBe(false);
    expect(await refused(tcp())).toBe(true);
    expect(door.refused).toEqual(['address']);
    first.destroy();
    while (door.openConnections > 0) await sleep(5);
    expect(await refused(tcp())).toBe(false);
  });
});
