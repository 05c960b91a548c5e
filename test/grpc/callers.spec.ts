import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Client, Metadata, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CALL_POLICY } from '../../src/grpc/call-policy.js';
import { OPERATOR_ROLES, roleAllows } from '../../src/operators/caller.js';
import { remoteError } from '../../src/client/remote-error.js';
import { TestDoor, bearer, ownMethods, roleMetadata, statusOfCall } from './test-door.js';

describe('who may call what', () => {
  let door: TestDoor;
  let client: Client;

  beforeAll(async () => {
    door = await TestDoor.open();
    client = door.controlPlane();
  });
  afterAll(() => door.close());

  const reason = (answer: Parameters<typeof remoteError>[0]): string => remoteError(answer).reason;
  const allMethods = [...CALL_POLICY].filter(([path]) => path.startsWith('/'));

  async function answer(path: string, metadata: Metadata): Promise<{ code: status; reason: string }> {
    const method = ownMethods.find((each) => each.path === path);
    const shape = method ?? { requestStream: true, responseStream: true };
    const health = path.startsWith('/grpc.health') && path.endsWith('Watch');
    if (health) {
      return watchOnce(metadata);
    }
    const result = await statusOfCall(client, { ...shape, path }, metadata);
    return { code: result.code, reason: reason(result as never) };
  }

  /** A watch does not end by itself. */
  function watchOnce(metadata: Metadata): Promise<{ code: status; reason: string }> {
    const same = (bytes: Buffer): Buffer => bytes;
    return new Promise((resolve) => {
      const call = client.makeServerStreamRequest(
        '/grpc.health.v1.Health/Watch',
        same,
        same,
        Buffer.alloc(0),
        metadata,
      );
      call.on('data', () => {
        resolve({ code: status.OK, reason: 'OK' });
        call.cancel();
      });
      call.on('error', (error) => {
        resolve({ code: (error as never as { code: status }).code, reason: reason(error as never) });
      });
    });
  }

  it('has a row for every method of the proto files and of the libraries', () => {
    expect(allMethods.length).toBe(ownMethods.length + 3 + 2);
  });

  it.each(allMethods)('%s without a credential', async (path, policy) => {
    const expected =
      policy.caller === 'nobody'
        ? { code: status.OK, reason: 'OK' }
        : { code: status.UNAUTHENTICATED, reason: 'CREDENTIALS_REQUIRED' };
    expect(await answer(path, new Metadata())).toEqual(expected);
  });

  it.each(allMethods)('%s with a credential that does not verify', async (path) => {
    const refused = { code: status.UNAUTHENTICATED, reason: 'CREDENTIALS_INVALID' };
    expect(await answer(path, bearer('wrong-token'))).toEqual(refused);
  });

  it.each(allMethods)('%s with each role', async (path, policy) => {
    for (const role of OPERATOR_ROLES) {
      const allowed = policy.caller !== 'operator' || roleAllows(role, policy.role);
      const expected = allowed
        ? { code: status.OK, reason: 'OK' }
        : { code: status.PERMISSION_DENIED, reason: 'ROLE_REQUIRED' };
      expect({ role, ...(await answer(path, roleMetadata(role))) }).toEqual({ role, ...expected });
    }
  });

  it.each(['Basic YTpi', 'Bearer', 'Bearer  two', 'admin-token', `Bearer ${'a'.repeat(513)}`, 'Bearer a,b'])(
    'refuses the authorization header %j everywhere',
    async (header) => {
      const metadata = new Metadata();
      metadata.set('authorization', header);
      const refused = { code: status.UNAUTHENTICATED, reason: 'CREDENTIALS_INVALID' };
      expect(await answer('/palyra.controlplane.v1.NodeService/GetTrustBundle', metadata)).toEqual(refused);
    },
  );

  it('counts the certificate of a device as no credential', async () => {
    const certificate = await door.root.client('device');
    const withCertificate = door.controlPlane({ certificate });
    const required = await statusOfCall(withCertificate, ownMethods[0]!, new Metadata());
    expect(reason(required as never)).toBe('CREDENTIALS_REQUIRED');
    const path = '/palyra.controlplane.v1.NodeService/GetTrustBundle';
    const open = await statusOfCall(withCertificate, { ...ownMethods[0]!, path }, new Metadata());
    expect(open.code).toBe(status.OK);
  });

  it('answers UNIMPLEMENTED for a method that does not exist', async () => {
    const unknown = {
      path: '/palyra.controlplane.v1.ControlPlane/Nothing',
      requestStream: false,
      responseStream: false,
    };
    expect((await statusOfCall(client, unknown, roleMetadata('admin'))).code).toBe(status.UNIMPLEMENTED);
  });

  it('refuses two authorization headers, which Node would hide', async () => {
    const path = '/palyra.controlplane.v1.ControlPlane/GetStatus';
    await rawCall(door, path, ['Bearer admin-token', 'Bearer viewer-token']);
    expect(door.ended.at(-1)).toEqual({ method: path, code: status.UNAUTHENTICATED });
    await rawCall(door, path, ['Bearer admin-token', 'Bearer admin-token']);
    expect(door.ended.at(-1)).toEqual({ method: path, code: status.UNAUTHENTICATED });
    await rawCall(door, path, ['Bearer admin-token']);
    expect(door.ended.at(-1)).toEqual({ method: path, code: status.OK });
  });

  it('survives a peer that speaks no TLS', async () => {
    const socket = connect(door.server.address.port, '127.0.0.1');
    const closed = new Promise((resolve) => socket.on('close', resolve).on('error', () => undefined));
    socket.end('GET / HTTP/1.1\r\n\r\n');
    await closed;
    expect((await statusOfCall(client, ownMethods[0]!, roleMetadata('admin'))).code).toBe(status.OK);
  });
});

/** One call written by hand, since no client library sends a header twice; resolves when it has been answered. */
function rawCall(door: TestDoor, path: string, authorizations: readonly string[]): Promise<void> {
  const socket = connectTls({
    port: door.server.address.port,
    host: '127.0.0.1',
    ca: door.root.pem,
    ALPNProtocols: ['h2'],
    servername: 'localhost',
  });
  const block = Buffer.concat(
    [
      [':method', 'POST'],
      [':scheme', 'https'],
      [':path', path],
      [':authority', 'localhost'],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ...authorizations.map((value) => ['authorization', value]),
    ].map(([name, value]) => literal(name!, value!)),
  );
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(frame(4, 0, 0, Buffer.alloc(0)));
  socket.write(frame(1, 4, 1, block));
  socket.write(frame(0, 1, 1, Buffer.alloc(5)));
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      resolve();
    });
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      if (endsStream(received)) {
        socket.destroy();
      }
    });
  });
}

/** RFC 9113 §4.1. */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** RFC 7541 §6.2.2: a literal that is not indexed, name and value not Huffman-coded. */
function literal(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}

function endsStream(received: Buffer): boolean {
  for (let at = 0; at + 9 <= received.length; at += 9 + received.readUIntBE(at, 3)) {
    const isHeaders = received[at + 3] === 1;
    if (isHeaders && received.readUInt32BE(at + 5) === 1 && (received[at + 4]! & 1) === 1) {
      return at + 9 + received.readUIntBE(at, 3) <= received.length;
    }
  }
  return false;
}
