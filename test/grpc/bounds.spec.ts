import { once } from 'node:events';
import { type Http2Session, connect as connectHttp2 } from 'node:http2';
import { type Socket, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ControlPlaneService } from '../../src/generated/palyra/controlplane/v1/control_plane.js';
import { TestDoor, roleMetadata, statusOfCall } from './test-door.js';

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

  it('makes room at the bound of all, and resets newcomers once nobody is left who has shown nothing', async () => {
    door = await TestDoor.open({ environment: { PALYRA_GRPC_MAX_CONNECTIONS: '2' } });
    const first = tcp();
    expect(await refused(first)).toBe(false);
    const evicted = once(first.resume(), 'close');
    for (const client of [door.controlPlane(), door.controlPlane()]) {
      const status = await statusOfCall(client, ControlPlaneService.getStatus, roleMetadata('viewer'));
      expect(status.code).toBe(0);
    }
    await evicted;
    expect(door.evicted).toEqual(['total']);
    expect(await refused(tcp())).toBe(true);
    expect(door.refused).toEqual(['total']);
    door.clients[0]!.close();
    while (door.openConnections > 1) await sleep(5);
    expect(await refused(tcp())).toBe(false);
  });
});
