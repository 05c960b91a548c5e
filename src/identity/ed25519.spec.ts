import { describe, expect, it } from '@jest/globals';
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIdentityKey, rawIdentityKey, signWithIdentity, verifyIdentitySignature } from './ed25519.js';
import { newKeyPair } from '../random/key-pair.js';

interface PairingVector {
  identity: { pkcs8: string; public_raw: string; spki: string };
  proof: { signed: string; signature: string };
  refused: {
    identity_keys: { case: string; identity_key: string }[];
    signatures: { case: string; signature: string }[];
  };
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

describe.each(['pairing-pin', 'pairing-link'])('%s.json', (file) => {
  const vector = JSON.parse(readFileSync(`test/vectors/${file}.json`, 'utf8')) as PairingVector;
  const key = hex(vector.identity.public_raw);
  const signed = hex(vector.proof.signed);
  const signature = hex(vector.proof.signature);

  it('signs and verifies', () => {
    const privateKey = createPrivateKey({ key: hex(vector.identity.pkcs8), format: 'der', type: 'pkcs8' });
    expect(rawIdentityKey(privateKey)).toEqual(key);
    expect(isIdentityKey(key)).toBe(true);
    expect(signWithIdentity(privateKey, signed)).toEqual(signature);
    expect(verifyIdentitySignature(key, signed, signature)).toBe(true);
    expect(verifyIdentitySignature(key, Buffer.concat([signed, signed]), signature)).toBe(false);
  });

  it.each(vector.refused.identity_keys)('refuses the key: $case', ({ identity_key }) => {
    expect(isIdentityKey(hex(identity_key))).toBe(false);
  });

  it.each(vector.refused.signatures)('refuses the signature: $case', (refused) => {
    expect(verifyIdentitySignature(key, signed, hex(refused.signature))).toBe(false);
  });
});

describe('a key of small order', () => {
  const neutralSignature = Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]);
  const neutralKey = Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]);

  it('verifies nothing, though this signature holds for any message by the equation of RFC 8032', () => {
    // OpenSSL 3.0 takes both; later ones refuse the key.
    expect(isIdentityKey(neutralKey)).toBe(false);
    expect(verifyIdentitySignature(neutralKey, Buffer.from('anything'), neutralSignature)).toBe(false);
  });

  it('is refused with the sign bit set too', () => {
    const signed = Buffer.from(neutralKey);
    signed[31] = 0x80;
    expect(verifyIdentitySignature(signed, Buffer.from('anything'), neutralSignature)).toBe(false);
  });
});

describe('a key whose y is not below p', () => {
  /** The 32 bytes of y = value, little-endian. */
  const encodingOf = (value: bigint): Buffer =>
    Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse();

  it('is refused even where y mod p is the y of a good key', () => {
    const FIELD_PRIME = 2n ** 255n - 19n;
    const canonical = Array.from({ length: 19 }, (_, y) => isIdentityKey(encodingOf(BigInt(y))));
    const unreduced = Array.from({ length: 19 }, (_, y) =>
      isIdentityKey(encodingOf(FIELD_PRIME + BigInt(y))),
    );
    expect(canonical).toContain(true);
    expect(unreduced).not.toContain(true);
  });
});

describe('other kinds of key', () => {
  it('do not sign', () => {
    const p256 = newKeyPair('p256');
    const identity = newKeyPair('ed25519');
    expect(() => signWithIdentity(p256.privateKey, Buffer.alloc(1))).toThrow('must be an Ed25519 key');
    expect(() => signWithIdentity(identity.publicKey, Buffer.alloc(1))).toThrow('must be a private key');
    expect(rawIdentityKey(identity.publicKey)).toEqual(rawIdentityKey(identity.privateKey));
  });
});
