import { createHash } from 'node:crypto';
import type { LinkCode, PinCode } from '../../src/pairing/protocol/code.js';
import type { PasswordScalars, derivePassword } from '../../src/pairing/protocol/password.js';
import { reduceToScalar } from '../../src/spake2plus/p256.js';

/** In place of scrypt, where a test makes thousands of codes. No setting leads here: it is handed to a constructor. */
export const cheapPassword: typeof derivePassword = (code) =>
  Promise.resolve({ w0: half('w0', code), w1: half('w1', code) } satisfies PasswordScalars);

type AnyCode = Pick<PinCode, 'kind' | 'codeId' | 'pin'> | Pick<LinkCode, 'kind' | 'codeId' | 'secret'>;

function half(label: string, code: AnyCode): Buffer {
  const secret = code.kind === 'pin' ? code.pin : code.secret.toString('hex');
  const digest = createHash('sha512').update(`${label} ${code.codeId} ${secret}`).digest();
  return reduceToScalar(digest.subarray(0, 40));
}
