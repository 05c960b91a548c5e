import type { CallPolicy } from './call-policy.js';

/** What is compared before the service starts. */
export interface Doors {
  readonly policy: ReadonlyMap<string, CallPolicy>;
  /** Paths of all gRPC methods that the proto files define and Nest serves. */
  readonly grpcMethods: readonly string[];
  /** Paths of all methods that libraries hang on the gRPC server (health, reflection). */
  readonly libraryMethods: readonly string[];
  /** Paths of all gRPC methods that a controller answers. */
  readonly grpcHandlers: readonly string[];
  /** Paths for which controllers say that they have a handler. */
  readonly declaredHandlers: readonly string[];
  /** Names of all node RPC handlers that controllers define. */
  readonly nodeHandlers: readonly string[];
}

/**
 * Compares methods, rows and handlers in every direction: a method without a row would be served to nobody or, worse,
 * by mistake to all; a method without a handler is silently UNIMPLEMENTED.
 *
 * @throws Error that names everything that is missing or superfluous.
 */
export function checkDoors(doors: Doors): void {
  const methods = [...doors.grpcMethods, ...doors.libraryMethods];
  const served = [...methods, ...doors.nodeHandlers];
  const problems = [
    ...missing(served, [...doors.policy.keys()], 'has no row in the table of callers'),
    ...missing([...doors.policy.keys()], served, 'has a row in the table of callers and is not served'),
    ...missing(doors.grpcMethods, doors.grpcHandlers, 'has no handler'),
    ...missing(doors.declaredHandlers, doors.grpcMethods, 'has a handler and stands in no proto file'),
    ...misplaced(doors),
  ];
  if (problems.length > 0) {
    throw new Error(`the RPCs, their handlers and the table of callers differ:\n  ${problems.join('\n  ')}`);
  }
}

/** Devices call on QUIC only, and only devices do. */
function misplaced(doors: Doors): string[] {
  const onQuic = new Set(doors.nodeHandlers);
  return [...doors.policy]
    .filter(([name, policy]) => (policy.caller === 'device') !== onQuic.has(name))
    .map(([name, policy]) => `${name} stands on the wrong door for a caller of kind ${policy.caller}`);
}

function missing(wanted: readonly string[], present: readonly string[], problem: string): string[] {
  const known = new Set(present);
  return wanted.filter((name) => !known.has(name)).map((name) => `${name} ${problem}`);
}

/** A gRPC handler as Nest registers it: `{"service":"ControlPlane","rpc":"GetStatus","streaming":"no_stream"}`. */
interface HandlerPattern {
  readonly service: string;
  readonly rpc: string;
  readonly streaming: string;
}

/** The path that a Nest handler serves, with the method name as the proto file spells it; other patterns as they are. */
export function handlerPath(packageName: string, pattern: string): string {
  if (!pattern.startsWith('{')) {
    return pattern;
  }
  const { service, rpc } = JSON.parse(pattern) as HandlerPattern;
  const serviceName = service.includes('.') ? service : `${packageName}.${service}`;
  return `/${serviceName}/${rpc.slice(0, 1).toUpperCase()}${rpc.slice(1)}`;
}
