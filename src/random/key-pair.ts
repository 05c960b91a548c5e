import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** DER: SubjectPublicKeyInfo and PKCS#8. */
export interface EncodedKeyPair {
  readonly publicKey: Buffer;
  readonly privateKey: Buffer;
}

const SPKI = { format: 'der', type: 'spki' } as const;
const PKCS8 = { format: 'der', type: 'pkcs8' } as const;

/**
 * A new key pair of OpenSSL's generator. Nothing else generates one (lint sees to it): the `KeyObject`s that
 * `generateKeyPairSync` gives without encodings can hang the process for ever on Node 20. The job that made such a key
 * locks the key's mutex when it is collected; `export({ format: 'jwk' })` and `asymmetricKeyDetails` hold that mutex while
 * they allocate, which may collect the job. A key that was encoded and read again shares nothing with the job.
 */
export function newKeyPair(algorithm: 'ed25519' | 'p256'): KeyPair {
  return keyPairOf(
    algorithm === 'p256'
      ? generateKeyPairSync('ec', {
          namedCurve: 'P-256',
          publicKeyEncoding: SPKI,
          privateKeyEncoding: PKCS8,
        })
      : generateKeyPairSync('ed25519', { publicKeyEncoding: SPKI, privateKeyEncoding: PKCS8 }),
  );
}

/** Reads a pair, and overwrites the private key's encoding. */
export function keyPairOf({ publicKey, privateKey }: EncodedKeyPair): KeyPair {
  try {
    return {
      publicKey: createPublicKey({ key: publicKey, ...SPKI }),
      privateKey: createPrivateKey({ key: privateKey, ...PKCS8 }),
    };
  } finally {
    privateKey.fill(0);
  }
}
