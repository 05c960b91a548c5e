import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { z } from 'zod';
import type { HostPort } from '../network/network-address.js';

/** The file may hold a number or a boolean where the environment can only hold text. */
export const text = z.preprocess(
  (value) => (typeof value === 'number' || typeof value === 'boolean' ? String(value) : value),
  z.string({ error: 'must be one value, not a list or a map' }).trim(),
);

/** Text that `read` turns into a value; what it throws becomes the problem that is reported. */
export function readText<T>(read: (value: string) => T): z.ZodType<T> {
  return text.transform((value, context) => {
    try {
      return read(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  });
}

/** Several values: separated by commas, or a list in the file. Blank items are dropped, repeated ones kept once. */
export function listOf<T>(read: (value: string) => T): z.ZodType<readonly T[]> {
  return z
    .preprocess(
      (value): unknown[] => (typeof value === 'string' ? value.split(',') : [value].flat()),
      z.array(text),
    )
    .transform((items, context) => {
      const values = new Map<string, T>();
      for (const item of items.filter((candidate) => candidate !== '')) {
        try {
          const value = read(item);
          values.set(JSON.stringify(value), value);
        } catch (error) {
          context.addIssue({
            code: 'custom',
            message: error instanceof Error ? error.message : String(error),
          });
        }
      }
      return [...values.values()];
    });
}

/** A whole number from `least` to `most`, in decimal digits. */
export function count(least: number, most: number): z.ZodType<number> {
  return readText((value) => {
    const number = /^\d{1,15}$/.test(value) ? Number(value) : NaN;
    if (!(number >= least && number <= most)) {
      throw new Error(`write a whole number from ${least} to ${most}`);
    }
    return number;
  });
}

export function oneOf<const T extends readonly string[]>(...words: T): z.ZodType<T[number]> {
  return readText((value) => {
    const word = words.find((candidate) => candidate === value.toLowerCase());
    if (word === undefined) {
      throw new Error(`write one of ${words.join(', ')}`);
    }
    return word;
  });
}

/** A path, made absolute against the working directory. */
export const path: z.ZodType<string> = readText((value) => {
  if (value.includes('\0')) {
    throw new Error('write a path without a NUL character');
  }
  return resolve(value);
});

const MILLISECONDS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds from `250ms`, `10s`, `10m`, `24h`, `30d` or several of them, `1h30m`. */
export function duration(least: string, most: string): z.ZodType<number> {
  const range = { least: parseDuration(least), most: parseDuration(most) };
  return readText((value) => {
    const milliseconds = parseDuration(value);
    if (milliseconds < range.least || milliseconds > range.most) {
      throw new Error(`write a duration from ${least} to ${most}`);
    }
    return milliseconds;
  });
}

/** Throws when `value` is no duration. */
export function parseDuration(value: string): number {
  const parts = [...value.matchAll(/(\d{1,12})(ms|s|m|h|d)/gy)];
  const read = parts.map((part) => part[0]).join('');
  if (value === '' || read !== value) {
    throw new Error('write a duration with its unit: ms, s, m, h or d, for example 10s or 1h30m');
  }
  return parts.reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * MILLISECONDS[unit as keyof typeof MILLISECONDS],
    0,
  );
}

const BYTES = { B: 1, kB: 1e3, KiB: 2 ** 10, MB: 1e6, MiB: 2 ** 20, GB: 1e9, GiB: 2 ** 30 } as const;

/** Bytes from `64KiB`, `1MiB`, `500kB`. */
export function size(least: string, most: string): z.ZodType<number> {
  const range = { least: parseSize(least), most: parseSize(most) };
  return readText((value) => {
    const bytes = parseSize(value);
    if (bytes < range.least || bytes > range.most) {
      throw new Error(`write a size from ${least} to ${most}`);
    }
    return bytes;
  });
}

/** Throws when `value` is no size. */
export function parseSize(value: string): number {
  const match = /^(\d{1,12}) ?(B|kB|KiB|MB|MiB|GB|GiB)$/.exec(value);
  if (match === null) {
    throw new Error('write a size with its unit: B, kB, KiB, MB, MiB, GB or GiB, for example 64KiB');
  }
  return Number(match[1]) * BYTES[match[2] as keyof typeof BYTES];
}

/** Where to listen: `127.0.0.1:7443`, `[::1]:7443`, `localhost:0`. */
export const listenAddress: z.ZodType<HostPort> = readText((value) => parseHostPort(value, 0));

/** Where others reach a door; a port of 0 means nothing to them. */
export const endpoints: z.ZodType<readonly HostPort[]> = listOf((value) => parseHostPort(value, 1));

/** Throws when `value` is not `host:port` with a port from `leastPort` to 65535. */
export function parseHostPort(value: string, leastPort: 0 | 1): HostPort {
  const match = /^(?:\[([^[\]]*)\]|([^:[\]]*)):(0|[1-9]\d{0,4})$/.exec(value);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535 || port < leastPort) {
    throw new Error(
      `write host:port, for example 127.0.0.1:7443 or [::1]:7443, with a port from ${leastPort} to 65535`,
    );
  }
  const [, bracketed, plain] = match;
  if (bracketed !== undefined) {
    if (isIP(bracketed) !== 6 || bracketed.includes('%')) {
      throw new Error('write an IPv6 address without a zone inside the brackets');
    }
    return { host: bracketed.toLowerCase(), port };
  }
  if (plain === undefined || plain === '') {
    throw new Error('write the host too: 127.0.0.1, or 0.0.0.0 to listen on every address');
  }
  return { host: isIP(plain) === 4 ? plain : parseDnsName(plain.toLowerCase()), port };
}

/** A DNS name of at most 253 lower-case characters (RFC 1123 §2.1), whose last label is no number. */
export function parseDnsName(value: string): string {
  const labels = value.split('.');
  const last = labels.at(-1) ?? '';
  const wellFormed = labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label));
  if (value.length > 253 || !wellFormed || /^\d+$/.test(last)) {
    throw new Error('write a DNS name: labels of a-z, 0-9 and - with dots between them');
  }
  return value;
}

/** `control-plane.<trust domain>` has to fit into a DNS name too. */
const MAX_TRUST_DOMAIN = 253 - 'control-plane.'.length;

export const trustDomain: z.ZodType<string> = readText((value) => {
  if (value !== value.toLowerCase()) {
    throw new Error('write it in lower case');
  }
  if (value.length > MAX_TRUST_DOMAIN) {
    throw new Error(`write at most ${MAX_TRUST_DOMAIN} characters`);
  }
  return parseDnsName(value);
});

/** DNS names in lower case and IP addresses, for the subject alternative names of server certificates. */
export const serverNames: z.ZodType<readonly string[]> = listOf((value) => {
  const name = value.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (name.includes('*')) {
    throw new Error(`${value}: write each name; wildcards are not issued`);
  }
  if (isIP(name) !== 0 && !name.includes('%')) {
    return name;
  }
  try {
    return parseDnsName(name);
  } catch {
    throw new Error(`${value}: write a DNS name or an IP address`);
  }
});

/**
 * An address that is written into certificates: http or https, visible ASCII, at most 200 characters, without user,
 * query and fragment; the slash at its end is dropped.
 */
export const publicHttpUrl: z.ZodType<string> = readText((value) => {
  const url = URL.canParse(value) && value.length <= 200 ? new URL(value) : undefined;
  const isPlain = url !== undefined && url.username === '' && url.password === '' && !/[?#]/.test(value);
  if (!isPlain || !['http:', 'https:'].includes(url.protocol)) {
    throw new Error('write an address like http://pki.example.org or http://pki.example.org:7480/palyra');
  }
  return url.href.replace(/\/+$/, '');
});
