import { once } from 'node:events';
import { type ConnectionOptions, type TLSSocket, connect } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestDoor } from './test-door.js';

/** Long enough for the tickets that a server sends behind its handshake. */
const TICKETS_MS = 100;

describe('TLS of the gRPC door', () => {
  let door: TestDoor;
  let clientCertificate: { readonly certificate: string; readonly key: string };

  beforeAll(async () => {
    door = await TestDoor.open();
    clientCertificate = await door.root.client('device');
  });
  afterAll(() => door.close());

  function open(options: ConnectionOptions = {}): TLSSocket {
    const { port } = door.server.address;
    const socket = connect({
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: door.root.pem,
      ALPNProtocols: ['h2'],
      ...options,
    });
    socket.on('error', () => undefined);
    return socket;
  }

  async function connected(options: ConnectionOptions = {}): Promise<TLSSocket> {
    const socket = open(options);
    await once(socket, 'secureConnect');
    return socket;
  }

  const nameOf = (socket: TLSSocket): string => String(socket.getPeerCertificate().subject.CN);

  async function alertOf(options: ConnectionOptions): Promise<string> {
    const socket = open(options);
    const outcome = await Promise.race([
      once(socket, 'error').then(([error]: Error[]) => error!.message),
      once(socket, 'secureConnect').then(() => `spoke ${String(socket.getProtocol())}`),
    ]);
    socket.destroy();
    return outcome;
  }

  async function isResumed(): Promise<boolean> {
    const first = open();
    const sessions: Buffer[] = [];
    first.on('session', (session) => sessions.push(session));
    await once(first, 'secureConnect');
    await sleep(TICKETS_MS);
    first.destroy();
    const last = sessions.at(-1);
    const again = await connected(last === undefined ? {} : { session: last });
    const resumed = again.isSessionReused();
    again.destroy();
    return resumed;
  }

  async function holds(): Promise<void> {
    expect(await alertOf({ maxVersion: 'TLSv1.2' })).toMatch(/alert protocol version/);
    expect(await isResumed()).toBe(false);
    const socket = await connected({ cert: clientCertificate.certificate, key: clientCertificate.key });
    expect(socket.getProtocol()).toBe('TLSv1.3');
    expect(socket.authorized).toBe(true);
    socket.destroy();
  }

  it('is 1.3 only, and no session comes back on a ticket', holds);

  it('stays so when the certificate is renewed, which open connections do not notice', async () => {
    const before = await connected();
    expect(nameOf(before)).toBe('first');
    door.credentials.replace(await door.root.server('second'));
    const after = await connected();
    expect(nameOf(after)).toBe('second');
    expect(before.destroyed).toBe(false);
    before.destroy();
    after.destroy();
    await holds();
  });
});
