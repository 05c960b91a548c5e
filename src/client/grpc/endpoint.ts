import { isIP } from 'node:net';
import { ClientError } from '../client-error.js';

/** Where a server is dialled. Its name proves nothing: servers are known by the control-plane name in their certificate. */
export interface Endpoint {
  /** ASCII name, IPv4 address, or IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** `host:port` as a person writes it, IPv6 in brackets. */
  readonly text: string;
}

const FORM = /^(?:\[(?<ipv6>[0-9A-Fa-f:.]+)\]|(?<name>[A-Za-z0-9_.-]+)):(?<port>[1-9][0-9]{0,4})$/;

/** `undefined` unless the text is an ASCII name, an IPv4 address or a bracketed IPv6 address, and a port from 1 to 65535. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const groups = FORM.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const port = Number(groups['port']);
  if (port > 65_535) return undefined;
  const ipv6 = groups['ipv6'];
  if (ipv6 !== undefined) return isIP(ipv6) === 6 ? { host: ipv6, port, text } : undefined;
  const host = groups['name'];
  return host !== undefined && host.length <= 253 ? { host, port, text } : undefined;
}

/** As {@link parseEndpoint}; throws a usage error that names the text. */
export function requireEndpoint(text: string): Endpoint {
  const endpoint = parseEndpoint(text);
  if (endpoint !== undefined) return endpoint;
  throw new ClientError('usage', 'ENDPOINT_MALFORMED', `${JSON.stringify(text)} is not an endpoint`, {
    advice: 'give host:port, for example 127.0.0.1:7443 or [::1]:7443',
  });
}
