import { type HostPort, formatHostPort } from './network/network-address.js';

/** Where the doors really listen; known only once they do, since the system may choose the port. */
export class DoorAddresses {
  grpc: HostPort | undefined;
  quic: HostPort | undefined;
  http: HostPort | undefined;
}

/**
 * The endpoints that devices are told, `host:port` (docs/protocol.md, "Settings, files, commands"): what the settings say, or the first
 * server name with the bound port, or the bound address itself unless it is a wildcard, which nobody can dial.
 */
export function advertisedEndpoints(
  advertised: readonly HostPort[],
  serverNames: readonly string[],
  bound: HostPort | undefined,
): readonly string[] {
  if (advertised.length > 0) return advertised.map(formatHostPort);
  if (bound === undefined) return [];
  const host = serverNames[0] ?? (isWildcard(bound.host) ? 'localhost' : bound.host);
  return [formatHostPort({ host, port: bound.port })];
}

const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::';
