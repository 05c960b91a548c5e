import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import {
  type ChannelOptions,
  type Client,
  Metadata,
  type ServiceDefinition,
  type StatusObject,
  credentials,
} from '@grpc/grpc-js';
import {
  Controller,
  type DynamicModule,
  type INestApplication,
  type NestApplicationOptions,
  Module,
  type Type,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, NestFactory } from '@nestjs/core';
import { GrpcMethod, GrpcStreamMethod } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { EMPTY } from 'rxjs';
import { type Settings, parseSettings } from '../../src/config/settings.js';
import { formatHostPort } from '../../src/network/network-address.js';
import {
  ControlPlaneClient,
  ControlPlaneService,
} from '../../src/generated/palyra/controlplane/v1/control_plane.js';
import {
  NodeServiceClient,
  NodeServiceService,
} from '../../src/generated/palyra/controlplane/v1/node_service.js';
import { CallerGuard } from '../../src/grpc/caller.guard.js';
import { CALL_POLICY, type CallPolicy } from '../../src/grpc/call-policy.js';
import { DomainErrorFilter } from '../../src/grpc/domain-error.filter.js';
import { FAILURE_LOG, failureLog } from '../../src/grpc/failure-log.js';
import { GrpcServer } from '../../src/grpc/grpc-server.js';
import { RenewableServerCredentials } from '../../src/grpc/server-credentials.js';
import { OPERATOR_ROLES, type OperatorAuthenticator, type OperatorRole } from '../../src/operators/caller.js';
import { SERVICE_HOLDS } from '../../src/runtime.js';
import { ServiceHolds } from '../../src/service-holds/service-holds.js';
import { TestRoot } from './tls-material.js';

/** What a fake handler is: the third argument of Nest's handlers, the call, comes last. */
export type FakeHandler = (request: never, metadata: Metadata, call: never) => unknown;
export type FakeHandlers = Readonly<Record<string, FakeHandler>>;

export interface TestDoorOptions {
  /** Handlers by method name; every method that is not named answers an empty message. */
  readonly handlers?: FakeHandlers;
  /** Methods that get no handler. */
  readonly without?: readonly string[];
  /** Handlers beyond the proto file. */
  readonly extra?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly policy?: ReadonlyMap<string, CallPolicy>;
  readonly operators?: OperatorAuthenticator;
  readonly nodeHandlers?: readonly string[];
}

/** The real gRPC door over fake handlers, on a port of its own. */
export class TestDoor {
  readonly failures: { fields: object; message: string }[] = [];
  readonly ended: { method: string; code: number }[] = [];
  readonly refused: string[] = [];
  readonly evicted: string[] = [];
  openConnections = 0;
  readonly holds = new ServiceHolds();

  private constructor(
    readonly root: TestRoot,
    readonly credentials: RenewableServerCredentials,
    readonly clients: Client[] = [],
  ) {}

  #app: INestApplication | undefined;
  #server: GrpcServer | undefined;

  static async open(options: TestDoorOptions = {}): Promise<TestDoor> {
    const { settings } = parseSettings({
      environment: {
        PALYRA_GRPC_LISTEN: '127.0.0.1:0',
        PALYRA_SHUTDOWN_GRACE: '300ms',
        ...options.environment,
      },
    });
    const root = await TestRoot.create('test root');
    const material = await root.server('first');
    const door = new TestDoor(root, new RenewableServerCredentials(material, settings.grpc.handshakeTimeout));
    await door.listen(options, settings);
    return door;
  }

  get server(): GrpcServer {
    return this.#server!;
  }

  get target(): string {
    return formatHostPort(this.server.address);
  }

  controlPlane(options?: ClientOptions): ControlPlaneClient {
    return this.keep(new ControlPlaneClient(this.target, this.channel(options), clientOptions(options)));
  }

  nodeService(options?: ClientOptions): NodeServiceClient {
    return this.keep(new NodeServiceClient(this.target, this.channel(options), clientOptions(options)));
  }

  keep<T extends Client>(client: T): T {
    this.clients.push(client);
    return client;
  }

  channel(options: ClientOptions = {}): ReturnType<typeof credentials.createSsl> {
    const { certificate } = options;
    return certificate === undefined
      ? credentials.createSsl(Buffer.from(this.root.pem))
      : credentials.createSsl(
          Buffer.from(this.root.pem),
          Buffer.from(certificate.key),
          Buffer.from(certificate.certificate),
        );
  }

  async close(): Promise<void> {
    for (const client of this.clients) {
      client.close();
    }
    await this.#app?.close();
  }

  private async listen(options: TestDoorOptions, settings: Settings): Promise<void> {
    const failures = failureLog({ error: (fields, message) => this.failures.push({ fields, message }) });
    this.#server = new GrpcServer({
      settings: settings.grpc,
      credentials: this.credentials,
      operators: options.operators ?? testOperators,
      observer: {
        callEnded: (method, code) => this.ended.push({ method, code }),
        connectionsChanged: (open) => {
          this.openConnections = open;
        },
        connectionRefused: (bound) => this.refused.push(bound),
        connectionEvicted: (bound) => this.evicted.push(bound),
      },
      failures,
      storeTime: { storeTime: () => ({ epoch: 1_700_000_000_000, sequence: 42 }) },
      descriptorSet: readFileSync('proto/descriptor-set.binpb'),
      shutdownGraceMs: settings.process.shutdownGrace,
      nodeHandlers: () => options.nodeHandlers ?? nodeMethods,
      ...(options.policy === undefined ? {} : { policy: options.policy }),
    });
    const module = testModule(options, failures, this.holds);
    const quiet: Pick<NestApplicationOptions, 'logger' | 'abortOnError'> = {
      logger: false,
      abortOnError: false,
    };
    const app = await NestFactory.create(module, new FastifyAdapter(), quiet);
    app.connectMicroservice({ strategy: this.#server }, { inheritAppConfig: true });
    this.#app = app;
    try {
      await app.startAllMicroservices();
    } catch (error) {
      await app.close();
      throw error;
    }
  }
}

export interface ClientOptions {
  readonly certificate?: { readonly certificate: string; readonly key: string };
  readonly channel?: ChannelOptions;
}

/** Each client has a connection of its own. */
function clientOptions(options: ClientOptions = {}): ChannelOptions {
  return { 'grpc.use_local_subchannel_pool': 1, ...options.channel };
}

/** The token of a role is the role's name followed by `-token`. */
export const testOperators: OperatorAuthenticator = {
  authenticate: (token) => {
    const role = OPERATOR_ROLES.find((candidate) => token === `${candidate}-token`);
    return Promise.resolve(role === undefined ? undefined : { operatorId: `the-${role}`, role });
  },
};

/** Looks again and again until `condition` holds; the time limit of the test is the only other way out. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function bearer(token: string): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

export function roleMetadata(role: OperatorRole): Metadata {
  return bearer(`${role}-token`);
}

/** The status with which a call of any kind ends; an empty message is sent. */
export function statusOfCall(
  client: Client,
  method: { path: string; requestStream: boolean; responseStream: boolean },
  metadata: Metadata,
  request: Buffer = Buffer.alloc(0),
): Promise<StatusObject> {
  const same = (bytes: Buffer): Buffer => bytes;
  const deadline = { deadline: Date.now() + 5_000 };
  return new Promise((resolve) => {
    const call = client.makeBidiStreamRequest(method.path, same, same, metadata, deadline);
    call.on('error', () => undefined);
    call.on('status', resolve);
    call.resume();
    call.write(request);
    call.end();
  });
}

/** What devices call on QUIC. */
const nodeMethods = [...CALL_POLICY].flatMap(([name, { caller }]) => (caller === 'device' ? [name] : []));

export const ownMethods = [...Object.values(ControlPlaneService), ...Object.values(NodeServiceService)];

@Module({})
class TestModule {}

function testModule(options: TestDoorOptions, failures: object, holds: ServiceHolds): DynamicModule {
  const controllers = [
    fakeController('ControlPlane', ControlPlaneService, options),
    fakeController('NodeService', NodeServiceService, options),
  ];
  return {
    module: TestModule,
    controllers,
    providers: [
      { provide: FAILURE_LOG, useValue: failures },
      { provide: SERVICE_HOLDS, useValue: holds },
      { provide: APP_FILTER, useClass: DomainErrorFilter },
      { provide: APP_GUARD, useClass: CallerGuard },
    ],
  };
}

/** A controller with a handler for every method of the service, decorated as a written one would be. */
function fakeController(name: string, service: ServiceDefinition, options: TestDoorOptions): Type {
  @Controller()
  class FakeController {}
  const prototype = FakeController.prototype as unknown as Record<string, unknown>;
  const methods = Object.values(service).map((method) => ({
    name: method.path.slice(method.path.lastIndexOf('/') + 1),
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    empty: method.responseDeserialize(Buffer.alloc(0)) as unknown,
  }));
  const extra = name === 'ControlPlane' ? (options.extra ?? []) : [];
  const all = [
    ...methods,
    ...extra.map((each) => ({ name: each, requestStream: false, responseStream: false, empty: {} })),
  ];
  for (const method of all.filter((each) => !(options.without ?? []).includes(each.name))) {
    prototype[method.name] =
      options.handlers?.[method.name] ?? (() => (method.responseStream ? EMPTY : method.empty));
    const decorate = method.requestStream ? GrpcStreamMethod : GrpcMethod;
    const descriptor = Object.getOwnPropertyDescriptor(prototype, method.name)!;
    decorate(name, method.name)(prototype, method.name, descriptor);
  }
  return FakeController;
}
