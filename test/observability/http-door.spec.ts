import 'reflect-metadata';
import { once } from 'node:events';
import { type AddressInfo, type Socket, connect } from 'node:net';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parseSettings } from '../../src/config/settings.js';
import { httpAdapter } from '../../src/observability/http-door.js';

describe('bounds of the HTTP door', () => {
  let adapter: FastifyAdapter;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    const environment = { PALYRA_HTTP_MAX_CONNECTIONS_PER_ADDRESS: '2' };
    adapter = httpAdapter(parseSettings({ environment }).settings.http);
    adapter.getInstance().get('/crl/:keyId', () => ({ found: true }));
    // All of 127.0.0.0/8 reaches it.
    await adapter.getInstance().listen({ host: '0.0.0.0', port: 0 });
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await adapter.getInstance().close();
  });

  /** A connection that asks for a page and stays. */
  function caller(localAddress: string): Socket {
    const { port } = adapter.getInstance().server.address() as AddressInfo;
    const socket = connect({ host: '127.0.0.1', port, localAddress });
    socket.on('error', () => undefined);
    sockets.push(socket);
    socket.write('GET / HTTP/1.1\r\nhost: door\r\n\r\n');
    return socket;
  }

  const isAnswered = (socket: Socket): Promise<boolean> =>
    Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)]);

  it('gives one address no more than its share, and a place back when it leaves', async () => {
    const held = [caller('127.0.0.1'), caller('127.0.0.1')];
    for (const socket of held) expect(await isAnswered(socket)).toBe(true);
    expect(await isAnswered(caller('127.0.0.1'))).toBe(false);
    expect(await isAnswered(caller('127.0.0.2'))).toBe(true);

    held[0]?.end();
    await once(held[0]!, 'close');
    expect(await isAnswered(caller('127.0.0.1'))).toBe(true);
  });

  it.each([
    ['/crl/%ff', 400],
    [`/crl/${'a'.repeat(101)}`, 414],
  ])('refuses %s like anything else: with its headers, and without saying it again', async (path, status) => {
    const { port } = adapter.getInstance().server.address() as AddressInfo;
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await answer.json()).toEqual({ reason: 'REFUSED' });
  });
});
