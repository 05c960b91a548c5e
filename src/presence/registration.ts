import { DomainError, malformed } from '../errors/domain-error.js';
import type { JsonObject } from '../quic/frame-codec.js';
import { NodeParams } from '../quic/node-params.js';

/** What a device says of itself; nobody has verified it. */
export interface Claims {
  readonly platform: string;
  readonly capabilities: readonly string[];
}

export interface Registration extends Claims {
  /** Unix milliseconds. */
  readonly registeredAt: number;
}

const MAX_PLATFORM_BYTES = 64;
const MAX_CAPABILITIES = 32;
const CAPABILITY = /^[a-z0-9][a-z0-9._:/-]{0,63}$/;
/** A device may change what it says of itself this often, milliseconds: each change is a commit. */
export const BETWEEN_CHANGES_MS = 5_000;

/** The params of `node.register`. Throws `malformed` INVALID_PARAMS. */
export function readClaims(params: JsonObject): Claims {
  const reader = new NodeParams(params);
  const platform = reader.takeText('platform', MAX_PLATFORM_BYTES);
  const capabilities = reader.takeWords('capabilities', MAX_CAPABILITIES, CAPABILITY);
  reader.end();
  if (platform.includes('\u0000')) throw malformed('INVALID_PARAMS', 'params: platform must not have U+0000');
  return { platform, capabilities };
}

/**
 * What a registration makes of the one before: `undefined` when it says the same. Throws `exhausted` TOO_MANY_REGISTRATIONS
 * for a change that comes too soon after the last.
 */
export function nextRegistration(
  before: Registration | undefined,
  claims: Claims,
  now: number,
): Registration | undefined {
  if (before === undefined) return { ...claims, registeredAt: now };
  if (saysTheSame(before, claims)) return undefined;
  // A clock that was set back must not keep a device from it for longer.
  const wait = before.registeredAt + BETWEEN_CHANGES_MS - now;
  if (wait > 0 && wait <= BETWEEN_CHANGES_MS) {
    throw new DomainError(
      'exhausted',
      'TOO_MANY_REGISTRATIONS',
      'this device has changed what it says of itself just now',
      { retryAfterMs: wait },
    );
  }
  return { ...claims, registeredAt: now };
}

const saysTheSame = (one: Claims, other: Claims): boolean =>
  JSON.stringify([one.platform, one.capabilities]) === JSON.stringify([other.platform, other.capabilities]);
