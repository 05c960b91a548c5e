import { isIPv4, isIPv6 } from 'node:net';

/** Where a door listens, or where others reach it. */
export interface HostPort {
  /** IPv4 or IPv6 address (without brackets) or DNS name. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** The IPv4 address inside `::ffff:a.b.c.d`, as a dual-stack socket reports IPv4 peers; anything else unchanged. */
export function unmapped(host: string): string {
  return MAPPED_IPV4.exec(host)?.[1] ?? host;
}

/**
 * What counts as one source in per-address bounds: an IPv4 address, or the first 64 bits of an IPv6 address, since whoever
 * has one address of a /64 has all of them. Text that is no address is its own source.
 */
export function sourceOf(host: string): string {
  const address = unmapped(host);
  if (isIPv4(address) || !isIPv6(address)) return address;
  return `${prefix64(address)}::/64`;
}

function prefix64(address: string): string {
  const [withoutZone = ''] = address.split('%');
  const [before = '', after] = withoutZone.split('::');
  const head = groups(before);
  const tail = after === undefined ? [] : groups(after);
  const zeros = new Array<number>(Math.max(0, 8 - head.length - tail.length)).fill(0);
  return [...head, ...(after === undefined ? [] : zeros), ...tail]
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':');
}

/** The 16-bit groups of one side of `::`; a dotted IPv4 tail is two groups. */
function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

/** `host:port`, with brackets round an IPv6 address. */
export function formatHostPort({ host, port }: HostPort): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
