import { type ServerCredentials, type ServiceDefinition, type ServerOptions } from '@grpc/grpc-js';
import { ServerGrpc } from '@nestjs/microservices';
import { type HostPort, formatHostPort } from '../network/network-address.js';
import type { GrpcSettings } from '../config/settings.js';
import { ControlPlaneService } from '../generated/palyra/controlplane/v1/control_plane.js';
import { NodeServiceService } from '../generated/palyra/controlplane/v1/node_service.js';
import type { OperatorAuthenticator } from '../operators/caller.js';
import type { StoreTimeSource } from '../runtime.js';
import {
  type CallObserver,
  OpenStreams,
  boundRequests,
  identifyCallers,
  measureCalls,
} from './call-interceptors.js';
import { CALL_POLICY, type CallPolicy } from './call-policy.js';
import { ConnectionGate, type GateObserver } from './connection-gate.js';
import type { FailureLog } from './failure-log.js';
import { GrpcHealth } from './grpc-health.js';
import { Http2GrpcServer } from './http2-server.js';
import { checkDoors, handlerPath } from './policy-check.js';
import { addReflection } from './reflection.js';
import { sendStoreTime } from './store-time.js';

const PACKAGE = 'palyra.controlplane.v1';

/** Largest request of an RPC that needs no credential, in bytes. */
const MAX_STRANGER_REQUEST = 64 * 1024;

/** A quiet connection that does not answer a ping within this time is closed. */
const PING_TIMEOUT_MS = 20_000;

/** Ends by itself, within the 30 s of a handshake, and spends a try of the code: shutdown lets it go on. */
const FINISHES_BY_ITSELF = '/palyra.controlplane.v1.NodeService/Pair';

/** What the gRPC door is made of. */
export interface GrpcDoor {
  readonly settings: GrpcSettings;
  readonly credentials: ServerCredentials;
  readonly operators: OperatorAuthenticator;
  readonly observer: CallObserver & GateObserver;
  readonly failures: FailureLog;
  readonly storeTime: StoreTimeSource;
  /** The descriptor set of the proto files, for reflection. */
  readonly descriptorSet: Buffer;
  /** How long open calls may go on once the door closes, milliseconds. */
  readonly shutdownGraceMs: number;
  /** Names of the handlers on the QUIC door, for the start-up check. */
  readonly nodeHandlers: () => readonly string[];
  /** Replaced in tests of the start-up check. */
  readonly policy?: ReadonlyMap<string, CallPolicy>;
}

/**
 * Nest's gRPC transport behind a gate of ours: bounded connections, requests and streams, every call identified, and
 * nothing bound before every method has its handler and its row in the table of callers.
 */
export class GrpcServer extends ServerGrpc {
  readonly health = new GrpcHealth([`${PACKAGE}.ControlPlane`, `${PACKAGE}.NodeService`]);
  readonly #server: Http2GrpcServer;
  readonly #gate: ConnectionGate;
  readonly #streams = new OpenStreams((path) => path === FINISHES_BY_ITSELF);
  readonly #served = new Set<string>();
  #address: HostPort | undefined;
  #closing: Promise<void> | undefined;

  constructor(private readonly door: GrpcDoor) {
    super({ package: PACKAGE, packageDefinition: packageDefinition() });
    this.#server = new Http2GrpcServer(this.serverOptions(), {
      requestLimit: (path) => this.requestLimit(path),
      answerFailed: (error, path) => {
        door.failures.report(error, path);
      },
    });
    const injector = this.#server.createConnectionInjector(door.credentials);
    this.#gate = new ConnectionGate(door.settings, door.observer, (socket) => {
      injector.injectConnection(socket);
    });
  }

  /** Where it listens, with the port that the system chose. Throws before it does. */
  get address(): HostPort {
    if (this.#address === undefined) {
      throw new Error('the gRPC server does not listen yet');
    }
    return this.#address;
  }

  override createClient(): Promise<Http2GrpcServer> {
    return Promise.resolve(this.#server);
  }

  override async start(callback?: () => void): Promise<void> {
    await this.bindEvents();
    this.health.addTo(this.#server);
    addReflection(this.#server, this.door.descriptorSet);
    this.check();
    this.#address = await this.listenAt(this.door.settings.listen);
    callback?.();
  }

  override async createService(grpcService: ServiceClass, name: string): Promise<object> {
    const handlers = await super.createService(grpcService, name);
    for (const method of Object.keys(handlers)) {
      this.#served.add(grpcService.prototype[method]?.path ?? method);
    }
    return handlers;
  }

  /** Tells health watchers, ends open streams, lets calls finish for the grace time and then ends what is left. */
  override close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.health.set('NOT_SERVING');
    this.#gate.close();
    this.#streams.endAll();
    await this.finished(this.door.shutdownGraceMs);
    this.#server.forceShutdown();
    this.#gate.destroy();
  }

  private finished(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  private async listenAt(address: HostPort): Promise<HostPort> {
    try {
      return await this.#gate.listen(address);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      throw new Error(
        `gRPC cannot listen on ${formatHostPort(address)} (${code}): end what uses it, or set PALYRA_GRPC_LISTEN to another address`,
        { cause: error },
      );
    }
  }

  private check(): void {
    const own = [...methodPaths(ControlPlaneService), ...methodPaths(NodeServiceService)];
    const ownPaths = new Set(own);
    checkDoors({
      policy: this.policy,
      grpcMethods: own,
      libraryMethods: this.#server.paths.filter((path) => !ownPaths.has(path)),
      grpcHandlers: [...this.#served],
      declaredHandlers: [...this.messageHandlers.keys()].map((pattern) => handlerPath(PACKAGE, pattern)),
      nodeHandlers: this.door.nodeHandlers(),
    });
  }

  private requestLimit(path: string): number {
    return this.policy.get(path)?.caller === 'operator'
      ? this.door.settings.maxMessage
      : MAX_STRANGER_REQUEST;
  }

  private get policy(): ReadonlyMap<string, CallPolicy> {
    return this.door.policy ?? CALL_POLICY;
  }

  private serverOptions(): ServerOptions {
    const { settings, observer, operators, failures, storeTime } = this.door;
    return {
      'grpc.max_concurrent_streams': settings.maxStreams,
      'grpc.max_receive_message_length': settings.maxMessage,
      'grpc.max_connection_idle_ms': settings.idleTimeout,
      'grpc.keepalive_time_ms': settings.keepalive,
      'grpc.keepalive_timeout_ms': PING_TIMEOUT_MS,
      // The first stands next to the wire and sees what the others answer.
      interceptors: [
        measureCalls(observer),
        this.#streams.interceptor,
        boundRequests(settings.receiveTimeout),
        identifyCallers(operators, failures, (peer, proof) => {
          this.#gate.prove(peer, proof);
        }),
        sendStoreTime(storeTime),
      ],
    };
  }
}

/** A service as grpc-js makes it of a definition. */
interface ServiceClass {
  readonly prototype: Readonly<Record<string, { readonly path: string } | undefined>>;
}

/** The generated definitions under the names of the proto file, which is how Nest names handlers. */
function packageDefinition(): Record<string, ServiceDefinition> {
  return {
    [`${PACKAGE}.ControlPlane`]: namedAsInProto(ControlPlaneService),
    [`${PACKAGE}.NodeService`]: namedAsInProto(NodeServiceService),
  };
}

function methodPaths(service: ServiceDefinition): string[] {
  return Object.values(service).map((method) => method.path);
}

function namedAsInProto(service: ServiceDefinition): ServiceDefinition {
  const methods = Object.entries(service).map(([name, method]) => [
    method.path.slice(method.path.lastIndexOf('/') + 1),
    { ...method, originalName: name },
  ]);
  return Object.fromEntries(methods) as ServiceDefinition;
}
