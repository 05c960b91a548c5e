import { isEndpoint } from '../../pairing/protocol/endpoint.js';
import { ClientError } from '../client-error.js';

/** Where a server is dialled. Its name proves nothing: servers are known by the control-plane name in their certificate. */
export interface Endpoint {
  /** ASCII name, IPv4 address, or IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** `host:port` as a person writes it, IPv6 in brackets. */
  readonly text: string;
}

/** `undefined` unless the text has the form of an endpoint (docs/protocol.md, "Pairing", Link). */
export function parseEndpoint(text: string): Endpoint | undefined {
  if (!isEndpoint(text)) return undefined;
  const separator = text.lastIndexOf(':');
  const host = text.slice(0, separator).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(text.slice(separator + 1)), text };
}

/** As {@link parseEndpoint}; throws a usage error that names the text. */
export function requireEndpoint(text: string): Endpoint {
  const endpoint = parseEndpoint(text);
  if (endpoint !== undefined) return endpoint;
  throw new ClientError('usage', 'ENDPOINT_MALFORMED', `${JSON.stringify(text)} is not an endpoint`, {
    advice: 'give host:port, for example 127.0.0.1:7443 or [::1]:7443',
  });
}
