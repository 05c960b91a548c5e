import type { Http2SecureServer, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import {
  Server,
  type ServerCredentials,
  type ServerOptions,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { type MessageRules, withMessageRules } from './message-rules.js';

/** What grpc-js keeps to itself and is reached here; checked when a server is made. */
interface Internals {
  createHttp2Server(credentials: ServerCredentials): Http2SecureServer;
}

/** The grpc-js server with a bound for each method's requests, and with no header hidden from whoever judges a call. */
export class Http2GrpcServer extends Server {
  readonly #paths: string[] = [];

  constructor(
    options: ServerOptions,
    private readonly rules: MessageRules,
  ) {
    super(options);
    showEveryCredential(this as unknown as Internals);
  }

  /** Paths of all methods that are served. */
  get paths(): readonly string[] {
    return this.#paths;
  }

  override addService(service: ServiceDefinition, implementation: UntypedServiceImplementation): void {
    this.#paths.push(...Object.values(service).map((method) => method.path));
    super.addService(withMessageRules(service, this.rules), implementation);
  }
}

/**
 * Node keeps the first `authorization` header of a request and drops the others without a word. Whoever sends two has
 * them told apart here, so that the call can be refused.
 */
function showEveryCredential(internals: Internals): void {
  const create = internals.createHttp2Server.bind(internals);
  internals.createHttp2Server = (credentials) => {
    const server = create(credentials);
    server.prependListener('stream', restoreCredentials);
    return server;
  };
}

function restoreCredentials(
  _stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  _flags: number,
  // Node hands the headers as they came as a fourth argument: name, value, name, value.
  ...[raw]: readonly (readonly string[])[]
): void {
  const all = (raw ?? []).filter(
    (_value, index, list) => index % 2 === 1 && list[index - 1] === 'authorization',
  );
  if (all.length > 1) {
    (headers as Record<string, unknown>)['authorization'] = all;
  }
}
