import { newUlid } from '../encoding/ulid.js';
import { malformed } from '../errors/domain-error.js';

/**
 * Whether `text` is a device id as it travels: a canonical ULID, 26 upper-case characters of Crockford base 32, the
 * first 0 to 7 (128 bits fill 25 and three fifths of them).
 */
export function isDeviceId(text: string): boolean {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text);
}

/** Returns `text` when it is a device id. Throws `malformed` with INVALID_DEVICE_ID. */
export function parseDeviceId(text: string): string {
  if (isDeviceId(text)) return text;
  throw malformed(
    'INVALID_DEVICE_ID',
    'a device id is a ULID: 26 upper-case characters, like 01K9ZAYT3M4V5W6X7Y8Z9ABCDE',
  );
}

/** A new device id. */
export const newDeviceId = newUlid;
