import { once } from 'node:events';
import { type Http2Session, connect as connectHttp2 } from 'node:http2';
import { type Socket, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { TestDoor } from './test-door.js';

describe('bounds of the gRPC door', () => {
  let door: TestDoor;
  const sockets: Socket[] = [];

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await door.close();
  });

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
});
