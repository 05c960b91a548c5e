import { hkdfSync, scrypt, type ScryptOptions } from 'node:crypto';
import { reduceToScalar } from '../../spake2plus/p256.js';
import type { LinkCode, PinCode } from './code.js';

/**
 * From the code to w0 and w1 (docs/protocol.md, "Pairing", Password): RFC 9383 §3.2 with scrypt for a PIN and HKDF for a
 * link's 128 bits. Neither identities nor length prefixes enter (docs/divergences.md); TT binds the identities.
 */

const SALT_LABEL = 'palyra-pair-v2';
const LINK_INFO = 'palyra-pair-v2 link';
/** w0s ‖ w1s, 40 bytes each: 64 bits more than n has, so that reducing them favours no scalar. */
const OUTPUT_BYTES = 80;
const HALF_BYTES = OUTPUT_BYTES / 2;

/** 128·N·r = 32 MiB are used, which is just what OpenSSL's default limit does not allow. */
const SCRYPT: ScryptOptions = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };

/** 32 bytes each, big-endian, below n. Both are the password's worth: whoever derived them overwrites them. */
export interface PasswordScalars {
  readonly w0: Buffer;
  readonly w1: Buffer;
}

/** For a PIN about 80 ms of a libuv thread: run once at mint and once on the device, never because a stranger asked. */
export async function derivePassword(
  code: Pick<PinCode, 'kind' | 'codeId' | 'pin'> | Pick<LinkCode, 'kind' | 'codeId' | 'secret'>,
): Promise<PasswordScalars> {
  const salt = Buffer.from(SALT_LABEL + code.codeId, 'ascii');
  return split(code.kind === 'pin' ? await stretch(code.pin, salt) : expand(code.secret, salt));
}

function stretch(pin: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(Buffer.from(pin, 'ascii'), salt, OUTPUT_BYTES, SCRYPT, (error, output) => {
      if (error === null) resolve(output);
      else reject(error);
    });
  });
}

function expand(secret: Buffer, salt: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, LINK_INFO, OUTPUT_BYTES));
}

function split(output: Buffer): PasswordScalars {
  const scalars = {
    w0: reduceToScalar(output.subarray(0, HALF_BYTES)),
    w1: reduceToScalar(output.subarray(HALF_BYTES)),
  };
  output.fill(0);
  return scalars;
}
