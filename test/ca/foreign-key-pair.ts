import { generateKeyPairSync } from 'node:crypto';
import { keyPairOf, type EncodedKeyPair, type KeyPair } from '../../src/random/key-pair.js';

const publicKeyEncoding = { format: 'der', type: 'spki' } as const;
const privateKeyEncoding = { format: 'der', type: 'pkcs8' } as const;

const GENERATE: Readonly<Record<'rsa' | 'p384' | 'x25519', () => EncodedKeyPair>> = {
  rsa: () => generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding, privateKeyEncoding }),
  p384: () => generateKeyPairSync('ec', { namedCurve: 'P-384', publicKeyEncoding, privateKeyEncoding }),
  x25519: () => generateKeyPairSync('x25519', { publicKeyEncoding, privateKeyEncoding }),
};

/** A key pair of a kind that nothing of ours makes or accepts. */
export const foreignKeyPair = (kind: keyof typeof GENERATE): KeyPair => keyPairOf(GENERATE[kind]());
