import type {
  ServerDuplexStream,
  Server,
  ServiceDefinition,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';

type ReflectionStream = ServerDuplexStream<unknown, unknown>;
type ReflectionHandler = (stream: ReflectionStream) => void;

/**
 * `grpc.reflection.v1` and `v1alpha`. The library answers each request at once, whether or not the caller reads: a
 * stranger who only asks would fill the memory with answers. Here it is not heard again before its answers have left.
 *
 * @param descriptorSet The descriptor set of the proto files.
 */
export function addReflection(server: Server, descriptorSet: Buffer): void {
  const reflection = new ReflectionService(loadFileDescriptorSetFromBuffer(descriptorSet));
  const register: Pick<Server, 'addService'> = {
    addService: (service: ServiceDefinition, implementation: UntypedServiceImplementation) => {
      const methods = Object.entries(implementation).map(([name, handler]) => [
        name,
        heldBack(handler as ReflectionHandler),
      ]);
      server.addService(service, Object.fromEntries(methods) as UntypedServiceImplementation);
    },
  };
  reflection.addToServer(register);
}

/** The same handler, whose requests wait while answers do. */
function heldBack(handler: ReflectionHandler): ReflectionHandler {
  return (stream) => {
    const write = stream.write.bind(stream) as (message: unknown) => boolean;
    stream.write = (message: unknown): boolean => {
      const isTaken = write(message);
      if (!isTaken) {
        stream.pause();
        stream.once('drain', () => stream.resume());
      }
      return isTaken;
    };
    handler(stream);
  };
}
