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

/** A real gRPC server over TLS on a port that the system chose; `chain` is sent as it stands, leaf first. */
export async function startGrpcServer(
  chain: readonly Issued[],
  services: readonly [ServiceDefinition, UntypedServiceImplementation][],
): Promise<RunningServer> {
  const leaf = chain[0]!;
  const server = new Server();
  for (const [definition, implementation] of services) server.addService(definition, implementation);
  const credentials = ServerCredentials.createSsl(null, [
    {
      cert_chain: Buffer.from(chain.map((certificate) => certificate.pem).join('')),
      private_key: Buffer.from(leaf.keyPem),
    },
  ]);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    endpoint: requireEndpoint(`127.0.0.1:${port}`),
    close: () => {
      server.forceShutdown();
    },
  };
}
