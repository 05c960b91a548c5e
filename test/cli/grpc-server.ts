import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { requireEndpoint, type Endpoint } from '../../src/client/grpc/endpoint.js';
import type { Issued } from './pki.js';

export interface RunningServer {
  readonly endpoint: Endpoint;
  close(): void;
}

export interface TlsMaterial {
  /** PEM, leaf first. */
  readonly chain: string;
  /** PEM. */
  readonly key: string;
}

/** `chain` as a server sends it, leaf first. */
export function tlsMaterial(chain: readonly Issued[]): TlsMaterial {
  return { chain: chain.map(({ pem }) => pem).join(''), key: chain[0]!.keyPem };
}

/** A real gRPC server over TLS; on a port that the system chooses, unless one is named. */
export async function startGrpcServer(
  tls: TlsMaterial,
  services: readonly [ServiceDefinition, UntypedServiceImplementation][],
  port = 0,
): Promise<RunningServer> {
  const server = new Server();
  for (const [definition, implementation] of services) server.addService(definition, implementation);
  const credentials = ServerCredentials.createSsl(null, [
    { cert_chain: Buffer.from(tls.chain), private_key: Buffer.from(tls.key) },
  ]);
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, boundPort) => {
      if (error === null) resolve(boundPort);
      else reject(error);
    });
  });
  return {
    endpoint: requireEndpoint(`127.0.0.1:${bound}`),
    close: () => {
      server.forceShutdown();
    },
  };
}
