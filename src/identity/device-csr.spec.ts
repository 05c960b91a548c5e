import { describe, expect, it } from '@jest/globals';
import { makeCsr } from '../ca/csr-maker.js';
import { verifyDeviceCsr, verifyDeviceCsrOnPool } from './device-csr.js';
import { rawIdentityKey } from './ed25519.js';
import { newKeyPair } from '../random/key-pair.js';

describe('verifyDeviceCsr', () => {
  const identity = newKeyPair('ed25519').privateKey;
  const identityKey = rawIdentityKey(identity);

  it('takes a key of its own, of either kind', () => {
    const ed25519 = newKeyPair('ed25519').privateKey;
    const p256 = newKeyPair('p256').privateKey;
    expect(verifyDeviceCsr(makeCsr(ed25519), identityKey).algorithm).toBe('ed25519');
    expect(verifyDeviceCsr(makeCsr(p256), identityKey).algorithm).toBe('p256');
  });

  it('refuses the identity key as certificate key', () => {
    const refused = (): unknown => verifyDeviceCsr(makeCsr(identity), identityKey);
    expect(refused).toThrow(expect.objectContaining({ reason: 'CERTIFICATE_KEY_IS_IDENTITY' }));
  });

  it('refuses what no CA would take', () => {
    expect(() => verifyDeviceCsr(Buffer.alloc(10), identityKey)).toThrow(
      expect.objectContaining({ reason: 'INVALID_CSR' }),
    );
  });

  it('judges alike on the pool', async () => {
    const ed25519 = makeCsr(newKeyPair('ed25519').privateKey);
    const p256 = makeCsr(newKeyPair('p256').privateKey);
    for (const der of [ed25519, p256]) {
      expect(await verifyDeviceCsrOnPool(der, identityKey)).toEqual(verifyDeviceCsr(der, identityKey));
    }
    await expect(verifyDeviceCsrOnPool(makeCsr(identity), identityKey)).rejects.toMatchObject({
      reason: 'CERTIFICATE_KEY_IS_IDENTITY',
    });
    await expect(verifyDeviceCsrOnPool(Buffer.alloc(10), identityKey)).rejects.toMatchObject({
      reason: 'INVALID_CSR',
    });
    for (const der of [ed25519, p256]) {
      der[der.length - 1]! ^= 1;
      await expect(verifyDeviceCsrOnPool(der, identityKey)).rejects.toMatchObject({
        reason: 'CSR_SIGNATURE',
      });
    }
  });
});
