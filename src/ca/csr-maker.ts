import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import { encodeBits, encodeContext, encodeSequence } from './der-writer.js';
import { readPublicKey, SIGNATURE_ALGORITHM } from './public-key.js';

const VERSION_0 = Buffer.from('020100', 'hex');

/**
 * The device's side of {@link verifyCsr}: a PKCS#10 request (RFC 2986 §4) with an empty subject and no attributes, since
 * the CA takes nothing but the key. `privateKey` is P-256 or Ed25519; throws TypeError for another.
 */
export function makeCsr(privateKey: KeyObject): Buffer {
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const key = readPublicKey(spki);
  if (typeof key === 'string') throw new TypeError('the key of a request must be P-256 or Ed25519');
  const info = encodeSequence(VERSION_0, encodeSequence(), spki, encodeContext(0));
  const signature = sign(key.algorithm === 'p256' ? 'sha256' : null, info, privateKey);
  return encodeSequence(info, SIGNATURE_ALGORITHM[key.algorithm], encodeBits(signature));
}
