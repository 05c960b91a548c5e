import 'reflect-metadata';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  Catch,
  Controller,
  Inject,
  Module,
  type ArgumentsHost,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type INestApplication,
  type NestApplicationOptions,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, NestFactory } from '@nestjs/core';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { firstValueFrom, from, lastValueFrom, throwError, toArray, type Observable } from 'rxjs';
import { verifyDeviceChain } from '../../src/ca/chain-verification.js';
import { DomainError } from '../../src/errors/domain-error.js';
import { NODE_HEALTH, NodeHealthService } from '../../src/quic/node-health.js';
import { NodeRpcController } from '../../src/quic/node-rpc.controller.js';
import { QuicClientProxy } from '../../src/quic/quic-client-proxy.js';
import { QuicClient } from '../../src/quic/quic-client.js';
import type { AnswerStream, QuicContext } from '../../src/quic/quic-context.js';
import { QuicEndpoint } from '../../src/quic/quic-endpoint.js';
import { QuicStrategy } from '../../src/quic/quic-strategy.js';
import { QUIC } from '../../src/quic/transport-id.js';
import { systemClock } from '../../src/time/clock.js';
import { TestCa, type TestDevice } from '../ca/test-ca.js';
import { eventually, TestObserver, TestRegistry } from './quic-door.js';

const seen: string[] = [];

class RecordingGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const rpc = context.switchToRpc();
    const { method, deviceId } = rpc.getContext<QuicContext>();
    seen.push(`${method} ${deviceId}`);
    return rpc.getData<{ deny?: boolean }>().deny !== true;
  }
}

@Catch()
class RecordingFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): Observable<never> {
    const { method } = host.switchToRpc().getContext<QuicContext>();
    seen.push(`filter ${method}`);
    const denied = new DomainError('forbidden', 'DENIED', 'a guard said no');
    return throwError(() => (error instanceof DomainError ? error : denied));
  }
}

const GREETING = Symbol('GREETING');

/** Where a stream begins that has more events than fit into any buffer. */
const MANY = 1_000_000;
const MANY_EVENTS = 3_000;
let produced = 0;
let ended = 0;
let aborted = 0;

async function* manyEvents(answer: AnswerStream): AsyncGenerator<object> {
  answer.signal.addEventListener('abort', () => {
    aborted += 1;
  });
  try {
    for (let count = 1; count <= MANY_EVENTS; count += 1) {
      await answer.writable();
      if (answer.signal.aborted) return;
      produced += 1;
      yield { seq: MANY + count, text: 'x'.repeat(1_000) };
    }
  } finally {
    ended += 1;
  }
}

@Controller()
class ExtraController {
  constructor(@Inject(GREETING) private readonly greeting: string) {}

  @MessagePattern('test.greet', QUIC)
  greet(@Payload() params: { name?: string }, @Ctx() context: QuicContext): object {
    return { text: `${this.greeting} ${params.name ?? '?'}`, fingerprint: context.fingerprint };
  }

  @MessagePattern('test.conflict', QUIC)
  conflict(): never {
    throw new DomainError('conflict', 'CERTIFICATE_CONFLICT', 'another certificate is newer');
  }

  @MessagePattern('node.stream_events', QUIC)
  events(@Ctx() context: QuicContext): Observable<object> {
    if (context.resumeFrom === MANY) return from(manyEvents(context.answer));
    const first = (context.resumeFrom ?? 0) + 1;
    return from([first, first + 1, first + 2].map((seq) => ({ seq, type: 'bundle_changed' })));
  }
}

@Module({
  controllers: [NodeRpcController, ExtraController],
  providers: [
    { provide: GREETING, useValue: 'hello' },
    {
      provide: NODE_HEALTH,
      useFactory: () =>
        new NodeHealthService(systemClock, { trustDomain: 'test.palyra.internal', version: '1.2.3' }),
    },
    { provide: APP_GUARD, useClass: RecordingGuard },
    { provide: APP_FILTER, useClass: RecordingFilter },
  ],
})
class TestModule {}

describe('node RPC through Nest', () => {
  let ca: TestCa;
  let app: INestApplication;
  let strategy: QuicStrategy;
  let device: TestDevice;
  const registry = new TestRegistry();
  const observer = new TestObserver();
  const clients: { close(): Promise<void> }[] = [];

  const options = (): Parameters<typeof QuicClient.connect>[0] => ({
    host: '127.0.0.1',
    port: strategy.address!.port,
    roots: ca.rootPem,
    trustDomain: ca.trustDomain,
    identity: device,
  });

  const connect = async (): Promise<QuicClient> => {
    const client = await QuicClient.connect(options());
    clients.push(client);
    return client;
  };

  beforeAll(async () => {
    ca = await TestCa.create();
    device = await ca.device();
    registry.enrol(device);
    const tls = await ca.server();
    strategy = new QuicStrategy({
      listen: { host: '127.0.0.1', port: 0 },
      endpoint: (handler) =>
        new QuicEndpoint({
          tls,
          clock: systemClock,
          verifyChain: (chain, now) => verifyDeviceChain(chain, ca.bundle.roots, now, ca.trustDomain),
          identities: registry,
          noteAdmitted: (deviceId, fingerprint) => registry.noteAdmitted(deviceId, fingerprint),
          handler,
          observer,
          settings: { drainTimeoutMs: 200 },
        }),
    });
    const quiet: Pick<NestApplicationOptions, 'logger'> = { logger: false };
    app = await NestFactory.create(TestModule, new FastifyAdapter(), quiet);
    app.connectMicroservice({ strategy }, { inheritAppConfig: true });
    await app.startAllMicroservices();
  });

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
  });

  afterAll(async () => {
    await app.close();
    expect(strategy.address).toBeUndefined();
  });

  it('answers node.health with who the device is, and what time it is', async () => {
    const response = await (await connect()).health();
    expect(response).toMatchObject({
      kind: 'health',
      ok: true,
      node_rpc_mtls_required: true,
      result: { device_id: device.deviceId, trust_domain: 'test.palyra.internal', version: '1.2.3' },
    });
    const { server_time_ms: time } = response.result as { server_time_ms: number };
    expect(Math.abs(time - Date.now())).toBeLessThan(5_000);
    expect(seen).toContain(`node.health ${device.deviceId}`);
  });

  it('hands params and context to handlers, through the global guard', async () => {
    const client = await connect();
    const response = await client.call('test.greet', { params: { name: 'node' } });
    expect(response).toMatchObject({
      kind: 'result',
      result: { text: 'hello node', fingerprint: device.fingerprint },
    });
    const denied = await client.call('test.greet', { params: { deny: true } });
    expect(denied).toMatchObject({
      kind: 'error',
      ok: false,
      error: 'refused',
      result: { reason: 'DENIED' },
    });
    expect(seen).toContain('filter test.greet');
  });

  it('maps errors of handlers and unknown methods', async () => {
    const client = await connect();
    expect(await client.call('test.conflict')).toMatchObject({
      error: 'refused',
      result: { reason: 'CERTIFICATE_CONFLICT' },
    });
    expect(await client.call('node.nothing')).toMatchObject({ error: 'unsupported_method' });
  });

  it('streams events after the one the device has', async () => {
    const events: unknown[] = [];
    for await (const event of (await connect()).stream('node.stream_events', { resumeFrom: 7 }))
      events.push(event);
    expect(events).toEqual(
      [8, 9, 10].map((seq) => ({
        protocol_version: 1,
        kind: 'event',
        ok: true,
        seq,
        result: { type: 'bundle_changed' },
      })),
    );
  });

  it('lets a handler wait for a slow reader, and end when nobody reads', async () => {
    const client = await QuicClient.connect({ ...options(), maxUnreadBytesPerStream: 16 * 1024 });
    clients.push(client);
    const [slow, left] = [0, 1].map(() =>
      client.stream('node.stream_events', { resumeFrom: MANY })[Symbol.asyncIterator](),
    );
    await slow!.next();
    await left!.next();
    expect((await client.health()).ok).toBe(true);
    // What the client may have unread, what QUIC holds, and one event that waits; not three megabytes each.
    expect(produced).toBeLessThan(2 * 250);
    await left!.return!();
    await eventually(() => ended === 1 && aborted === 1);
    let count = 1;
    for (let next = await slow!.next(); next.done !== true; next = await slow!.next()) count += 1;
    expect(count).toBe(MANY_EVENTS);
    expect(ended).toBe(2);
  });

  it('is called by the ClientProxy, which connects again after a close', async () => {
    const proxy = new QuicClientProxy(options());
    clients.push(proxy);
    const health = await firstValueFrom(proxy.send<{ device_id: string }>('node.health', {}));
    expect(health.device_id).toBe(device.deviceId);
    const first = await proxy.connect();
    strategy.endpoint.closeDevice(device.deviceId, 'superseded');
    expect((await first.closed).error.reason).toBe('SUPERSEDED');
    const events = await lastValueFrom(proxy.send('node.stream_events', {}).pipe(toArray()));
    expect(events).toHaveLength(3);
    await expect(firstValueFrom(proxy.send('test.conflict', {}))).rejects.toMatchObject({
      reason: 'CERTIFICATE_CONFLICT',
    });
  });
});
