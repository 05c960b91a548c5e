import 'reflect-metadata';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { verifyDeviceChain } from '../../src/ca/chain-verification.js';
import { HOSTILE_CASES } from './hostile-certificates.js';
import { TestCa } from './test-ca.js';

let ca: TestCa;

beforeAll(async () => {
  ca = await TestCa.create();
});

describe('a device certificate', () => {
  it.each(['p256', 'ed25519'] as const)('with a %s key is taken', async (algorithm) => {
    const { deviceId, fingerprint, certificate } = await ca.device({ algorithm });
    const verdict = verifyDeviceChain([certificate.der], ca.bundle.roots, Date.now(), ca.trustDomain);
    expect(verdict).toEqual({ ok: true, deviceId, fingerprint, notAfter: certificate.expiresAt });
  });
});

describe('a hostile certificate', () => {
  it.each(HOSTILE_CASES)('is refused: %s', async (name) => {
    const { der, reason } = await ca.hostile(name);
    const verdict = verifyDeviceChain(der, ca.bundle.roots, Date.now(), ca.trustDomain);
    expect(verdict).toEqual({ ok: false, reason });
  });
});
