import { isIPv4, isIPv6 } from 'node:net';

const MAX_NAME_LENGTH = 253;
const LABEL = /^(?!-)[0-9A-Za-z_-]{1,63}(?<!-)$/;

/**
 * Whether `text` is an endpoint as links and welcomes carry it: an ASCII name, an IPv4 address, or an IPv6 address in
 * brackets without a zone, then `:` and a port from 1 to 65535 without leading zero.
 */
export function isEndpoint(text: string): boolean {
  const separator = text.lastIndexOf(':');
  if (separator < 0) return false;
  return isHost(text.slice(0, separator)) && isPort(text.slice(separator + 1));
}

function isHost(host: string): boolean {
  if (host.startsWith('[')) return host.endsWith(']') && isAddressWithoutZone(host.slice(1, -1));
  return isIPv4(host) || isName(host);
}

function isAddressWithoutZone(address: string): boolean {
  return isIPv6(address) && !address.includes('%');
}

/** A last label that is a number makes a name an IPv4 address to some resolvers (192.0.2.256, 0x7f.1): no name then. */
function isName(host: string): boolean {
  if (host.length > MAX_NAME_LENGTH) return false;
  const labels = host.split('.');
  const last = labels.at(-1) ?? '';
  return labels.every((label) => LABEL.test(label)) && !/^(?:[0-9]+|0x[0-9a-f]*)$/i.test(last);
}

function isPort(port: string): boolean {
  return /^[1-9][0-9]{0,4}$/.test(port) && Number(port) <= 65_535;
}
