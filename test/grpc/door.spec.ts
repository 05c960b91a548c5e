import { connect } from 'node:net';
import { type TLSSocket, connect as connectTls } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { type ServiceError, Metadata, connectivityState, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ControlPlaneService } from '../../src/generated/palyra/controlplane/v1/control_plane.js';
import { remoteError } from '../../src/client/remote-error.js';
import { DomainError } from '../../src/errors/domain-error.js';
import { CollectResponse } from '../../src/generated/palyra/controlplane/v1/node_service.js';
import { ErrorInfo, RetryInfo } from '../../src/generated/google/rpc/error_details.js';
import { Status } from '../../src/generated/google/rpc/status.js';
import { operatorOf } from '../../src/grpc/caller-of-call.js';
import { CALL_POLICY } from '../../src/grpc/call-policy.js';
import { writeStream } from '../../src/grpc/write-stream.js';
import {
  type FakeHandler,
  TestDoor,
  type TestDoorOptions,
  ownMethods,
  roleMetadata,
  statusOfCall,
  until,
} from './test-door.js';

const GET_STATUS = '/palyra.controlplane.v1.ControlPlane/GetStatus';
const TRUST_BUNDLE = '/palyra.controlplane.v1.NodeService/GetTrustBundle';
const COLLECT = '/palyra.controlplane.v1.NodeService/Collect';
const HEALTH = '/grpc.health.v1.Health/Check';

let door: TestDoor;
afterEach(() => door.close());

async function open(options: TestDoorOptions = {}): Promise<TestDoor> {
  door = await TestDoor.open(options);
  return door;
}

/** The method with this path; with `other`, one of the same shape. */
function method(
  path: string,
  other: string = path,
): { path: string; requestStream: boolean; responseStream: boolean } {
  return { ...ownMethods.find((each) => each.path === path)!, path: other };
}

describe('TLS', () => {
  /** A handshake by hand; rejects when it fails. */
  function handshake(options: object = {}): Promise<TLSSocket> {
    const socket = connectTls({
      host: '127.0.0.1',
      port: door.server.address.port,
      ca: door.root.pem,
      servername: 'localhost',
      ALPNProtocols: ['h2'],
      ...options,
    });
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        resolve(socket);
      });
    });
  }

  async function servedName(): Promise<string> {
    const socket = await handshake();
    const certificate = new X509Certificate(socket.getPeerCertificate().raw);
    socket.destroy();
    return certificate.subject;
  }

  async function holdsItsOptions(): Promise<void> {
    await expect(handshake({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    });
    const first = await handshake();
    expect(first.getProtocol()).toBe('TLSv1.3');
    // Without tickets OpenSSL still hands out names of sessions, which nobody here remembers.
    const session = await new Promise<Buffer>((resolve) => first.once('session', resolve));
    first.destroy();
    const again = await handshake({ session });
    expect(again.isSessionReused()).toBe(false);
    again.destroy();
  }

  it('speaks 1.3 only and resumes nothing, also after a renewal, which open connections survive', async () => {
    await open();
    const client = door.controlPlane();
    expect((await statusOfCall(client, method(GET_STATUS), roleMetadata('viewer'))).code).toBe(status.OK);
    expect(await servedName()).toBe('CN=first');
    await holdsItsOptions();

    door.credentials.replace(await door.root.server('second'));
    expect(await servedName()).toBe('CN=second');
    await holdsItsOptions();
    expect((await statusOfCall(client, method(GET_STATUS), roleMetadata('viewer'))).code).toBe(status.OK);
    await until(() => door.openConnections === 1);
    expect(client.getChannel().getConnectivityState(false)).toBe(connectivityState.READY);
    // A client certificate is still asked for and still not needed.
    const certificate = await door.root.client('device');
    const shown = await handshake({ cert: certificate.certificate, key: certificate.key });
    expect(shown.getProtocol()).toBe('TLSv1.3');
    shown.destroy();
  });

  it('bounds connections by address: whoever has shown nothing makes room, whoever has keeps the place', async () => {
    await open({ environment: { PALYRA_GRPC_MAX_CONNECTIONS_PER_ADDRESS: '2' } });
    const stranger = (await handshake()).resume();
    const ended = new Promise((resolve) => stranger.once('close', resolve).on('error', () => undefined));
    const operators = [door.controlPlane(), door.controlPlane()];
    for (const client of operators) {
      const status = await statusOfCall(client, ControlPlaneService.getStatus, roleMetadata('viewer'));
      expect(status.code).toBe(0);
    }
    await ended;
    expect(door.evicted).toEqual(['address']);
    await expect(handshake()).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(door.refused).toEqual(['address']);
    operators[0]!.close();
    await until(() => door.openConnections === 1);
    (await handshake()).destroy();
  });

  it('breaks off a handshake that does not come to an end', async () => {
    await open({ environment: { PALYRA_GRPC_HANDSHAKE_TIMEOUT: '100ms' } });
    const silent = connect(door.server.address.port, '127.0.0.1');
    const closed = new Promise((resolve) => silent.on('close', resolve).on('error', () => undefined));
    await until(() => door.openConnections === 1);
    await closed;
    await until(() => door.openConnections === 0);
  });
});

describe('what every gRPC server offers', () => {
  it('is reflection of all services, from the descriptors of the proto files', async () => {
    await open();
    const names = await reflect(Buffer.from([0x3a, 0x00]));
    for (const name of ['palyra.controlplane.v1.ControlPlane', 'palyra.controlplane.v1.NodeService']) {
      expect(names).toContain(name);
    }
    const symbol = Buffer.from('palyra.controlplane.v1.ControlPlane');
    expect(await reflect(Buffer.concat([Buffer.from([0x22, symbol.length]), symbol]))).toContain(
      'ListDevicesRequest',
    );
  });

  it('is health, which follows the service', async () => {
    await open();
    const watched = watch();
    await until(() => watched.length === 1);
    door.server.health.set('SERVING');
    await until(() => watched.length === 2);
    expect(watched).toEqual(['0802', '0801']);
    const unknown = Buffer.concat([Buffer.from([0x0a, 3]), Buffer.from([0xed, 0xa0, 0x80])]);
    const answer = await statusOfCall(
      door.controlPlane(),
      method(GET_STATUS, HEALTH),
      new Metadata(),
      unknown,
    );
    expect([answer.code, remoteError(answer as never).reason]).toEqual([status.NOT_FOUND, 'SERVICE_UNKNOWN']);
  });

  /** One request of `grpc.reflection.v1.ServerReflectionRequest`, as bytes; the answer as text. */
  function reflect(request: Buffer): Promise<string> {
    const same = (bytes: Buffer): Buffer => bytes;
    const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
    const call = door.controlPlane().makeBidiStreamRequest(path, same, same);
    return new Promise((resolve, reject) => {
      call.on('error', reject);
      call.on('data', (answer: Buffer) => {
        resolve(answer.toString('latin1'));
        call.end();
      });
      call.write(request);
    });
  }

  /** `HealthCheckResponse`s of the whole server, hex. */
  function watch(): string[] {
    const same = (bytes: Buffer): Buffer => bytes;
    const call = door
      .controlPlane()
      .makeServerStreamRequest('/grpc.health.v1.Health/Watch', same, same, Buffer.alloc(0));
    const received: string[] = [];
    call.on('data', (answer: Buffer) => received.push(answer.toString('hex')));
    call.on('error', () => undefined);
    return received;
  }
});

describe('the start', () => {
  const refusal = async (options: TestDoorOptions): Promise<string> => {
    const error = await TestDoor.open(options).then(
      (opened) => opened.close(),
      (reason: unknown) => reason,
    );
    return (error as Error | undefined)?.message ?? 'started';
  };

  beforeEach(() => open());

  it('is refused when an RPC has no row in the table of callers', async () => {
    const policy = new Map([...CALL_POLICY].filter(([path]) => path !== GET_STATUS));
    expect(await refusal({ policy })).toContain(`${GET_STATUS} has no row in the table of callers`);
  });

  it('is refused when an RPC has no handler', async () => {
    expect(await refusal({ without: ['GetStatus'] })).toContain(`${GET_STATUS} has no handler`);
  });

  it('is refused when a handler stands for nothing in the proto files', async () => {
    expect(await refusal({ extra: ['GetStats'] })).toContain(
      'ControlPlane/GetStats has a handler and stands in no proto file',
    );
  });

  it('is refused when a node RPC has no row, or a row no node RPC', async () => {
    expect(await refusal({ nodeHandlers: ['node.health', 'node.other'] })).toContain('node.other has no row');
    expect(await refusal({ nodeHandlers: [] })).toContain(
      'node.health has a row in the table of callers and is not served',
    );
  });
});

describe('errors', () => {
  const failing = (error: unknown): FakeHandler => {
    return () => {
      throw error;
    };
  };

  async function failure(error: unknown): Promise<ServiceError> {
    await open({ handlers: { GetStatus: failing(error) } });
    return (await statusOfCall(door.controlPlane(), method(GET_STATUS), roleMetadata('viewer'))) as never;
  }

  it('carry reason and retry time where a client in any language finds them', async () => {
    const error = new DomainError('exhausted', 'TOO_MANY_STARTS', 'wait a little', { retryAfterMs: 1_500 });
    const answer = await failure(error);
    expect(answer).toMatchObject({ code: status.RESOURCE_EXHAUSTED, details: 'wait a little' });
    const details = Status.decode(answer.metadata.get('grpc-status-details-bin')[0] as Buffer);
    expect([details.code, details.message]).toEqual([8, 'wait a little']);
    const [info, retry] = details.details;
    expect(info?.typeUrl).toBe('type.googleapis.com/google.rpc.ErrorInfo');
    expect(ErrorInfo.decode(info!.value)).toEqual({
      reason: 'TOO_MANY_STARTS',
      domain: 'palyra',
      metadata: {},
    });
    expect(retry?.typeUrl).toBe('type.googleapis.com/google.rpc.RetryInfo');
    expect(RetryInfo.decode(retry!.value).retryDelay).toEqual({ seconds: 1n, nanos: 500_000_000 });
    expect(door.failures).toEqual([]);
  });

  it('say nothing of what nobody foresaw, and write it down once with its cause', async () => {
    const bug = new Error('the secret is hunter2');
    const answer = await failure(bug);
    expect(answer.code).toBe(status.INTERNAL);
    expect(JSON.stringify([answer.details, answer.metadata.toJSON()])).not.toContain('hunter2');
    expect(remoteError(answer).reason).toBe('INTERNAL');
    expect(door.failures).toEqual([{ fields: { err: bug, where: GET_STATUS }, message: 'a call failed' }]);
  });

  it('take the same way out of the middle of a stream', async () => {
    async function* items(): AsyncGenerator<CollectResponse> {
      yield await Promise.resolve(CollectResponse.fromPartial({ requestId: 'first' }));
      throw new DomainError('not_found', 'REQUEST_NOT_FOUND', 'begin again');
    }
    await open({ handlers: { Collect: (_request, _metadata, call: never) => writeStream(call, items()) } });
    const call = door.nodeService().collect({ token: Buffer.alloc(32) });
    const received: string[] = [];
    const error = await new Promise<ServiceError>((resolve) => {
      call.on('data', (item: CollectResponse) => received.push(item.requestId));
      call.on('error', resolve as never);
    });
    expect(received).toEqual(['first']);
    expect([error.code, remoteError(error).reason]).toEqual([status.NOT_FOUND, 'REQUEST_NOT_FOUND']);
  });

  it('survive text that cannot be encoded', async () => {
    const answer = await failure(new DomainError('malformed', 'BAD', 'half a \ud83d character'));
    expect([answer.code, answer.details]).toEqual([status.INVALID_ARGUMENT, 'half a \ufffd character']);
  });

  it('are reported when an answer does not fit its message', async () => {
    await open({ handlers: { GetStatus: () => ({ storeId: 5 }) } });
    const answer = await statusOfCall(door.controlPlane(), method(GET_STATUS), roleMetadata('viewer'));
    expect(answer.code).toBe(status.INTERNAL);
    expect(door.failures).toHaveLength(1);
  });
});

describe('requests', () => {
  const sized = (bytes: number): Buffer => {
    // A field that no message has; readers skip it (field 1000, length-delimited).
    const header = Buffer.from([0xc2, 0x3e]);
    const length = bytes - header.length - 3;
    return Buffer.concat([
      header,
      Buffer.from([(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14]),
      Buffer.alloc(length),
    ]);
  };

  async function answer(path: string, request: Buffer): Promise<[status, string]> {
    const result = await statusOfCall(
      door.controlPlane(),
      method(GET_STATUS, path),
      roleMetadata('viewer'),
      request,
    );
    return [result.code, remoteError(result as never).reason];
  }

  it('of strangers have at most 64 KiB, of operators what the settings say', async () => {
    await open({ environment: { PALYRA_GRPC_MAX_MESSAGE: '128KiB' } });
    expect(await answer(TRUST_BUNDLE, sized(65_536))).toEqual([status.OK, 'OK']);
    expect(await answer(TRUST_BUNDLE, sized(65_537))).toEqual([
      status.RESOURCE_EXHAUSTED,
      'MESSAGE_TOO_LARGE',
    ]);
    expect(await answer(HEALTH, sized(65_537))).toEqual([status.RESOURCE_EXHAUSTED, 'MESSAGE_TOO_LARGE']);
    expect(await answer(GET_STATUS, sized(131_072))).toEqual([status.OK, 'OK']);
    expect((await answer(GET_STATUS, sized(131_073)))[0]).toBe(status.RESOURCE_EXHAUSTED);
  });

  it('that are no message are the fault of the caller', async () => {
    await open();
    expect(await answer(COLLECT, Buffer.from([0x0a, 0xff]))).toEqual([
      status.INVALID_ARGUMENT,
      'MESSAGE_MALFORMED',
    ]);
    expect(await answer(HEALTH, Buffer.from([0x0a, 0xff]))).toEqual([
      status.INVALID_ARGUMENT,
      'MESSAGE_MALFORMED',
    ]);
    expect(door.failures).toEqual([]);
  });

  it('that do not arrive are not waited for', async () => {
    await open({ environment: { PALYRA_GRPC_RECEIVE_TIMEOUT: '100ms' } });
    const same = (bytes: Buffer): Buffer => bytes;
    const call = door
      .controlPlane()
      .makeClientStreamRequest(GET_STATUS, same, same, roleMetadata('viewer'), () => undefined);
    const answered = await new Promise<ServiceError>((resolve) => call.on('status', resolve as never));
    expect([answered.code, remoteError(answered).reason]).toEqual([
      status.DEADLINE_EXCEEDED,
      'REQUEST_TIMEOUT',
    ]);
  });
});

describe('answers to operators', () => {
  it('carry epoch and sequence; others do not', async () => {
    const seen: unknown[] = [];
    const GetStatus: FakeHandler = (_request, _metadata, call: never) => {
      seen.push(operatorOf(call));
      return { version: 'x' };
    };
    await open({ handlers: { GetStatus } });
    const same = (bytes: Buffer): Buffer => bytes;
    const metadataOf = (path: string, metadata: Metadata): Promise<Metadata> =>
      new Promise((resolve) => {
        const call = door
          .controlPlane()
          .makeUnaryRequest(path, same, same, Buffer.alloc(0), metadata, () => undefined);
        call.on('metadata', resolve);
      });
    const operators = await metadataOf(TRUST_BUNDLE, roleMetadata('admin'));
    expect(operators.get('palyra-epoch')).toEqual(['1700000000000']);
    expect(operators.get('palyra-sequence')).toEqual(['42']);
    expect((await metadataOf(TRUST_BUNDLE, new Metadata())).get('palyra-epoch')).toEqual([]);
    await metadataOf(GET_STATUS, roleMetadata('approver'));
    expect(seen).toEqual([
      { kind: 'operator', operatorId: 'the-approver', role: 'approver', source: '127.0.0.1' },
    ]);
  });
});
