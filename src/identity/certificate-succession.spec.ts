import { describe, expect, it } from '@jest/globals';
import {
  OVERLAP_AFTER_ADMISSION_MS,
  admittedUntil,
  withFirstAdmission,
  withNewCertificate,
  withoutCertificate,
} from './certificate-succession.js';
import type { DeviceCertificate, DeviceIdentity } from './device-identity.js';

const NOW = 1_780_000_000_000;
const DAY = 86_400_000;

const certificate = (name: string, issuedAt: number): DeviceCertificate => ({
  fingerprint: name.repeat(64),
  keyHash: null,
  serial: name.repeat(32),
  issuedAt,
  expiresAt: issuedAt + DAY,
  firstAdmittedAt: null,
});

const first = certificate('a', NOW);
const second = certificate('b', NOW + 1_000);

const device: DeviceIdentity = {
  deviceId: '01K9ZAYT3M4V5W6X7Y8Z9ABCDE',
  clientKind: 'node',
  platform: '',
  identityKey: Buffer.alloc(32, 1),
  pairedAt: NOW,
  current: first,
  previous: null,
  suspendedAt: null,
  conflictAt: null,
};

describe('certificate succession', () => {
  it('keeps the certificate before as previous', () => {
    const renewed = withNewCertificate(device, second);
    expect(renewed.current).toBe(second);
    expect(renewed.previous).toBe(first);
  });

  it('never keeps more than two', () => {
    const third = certificate('c', NOW + 2_000);
    const renewed = withNewCertificate(withNewCertificate(device, second), third);
    expect(admittedUntil(renewed, first.fingerprint)).toBeUndefined();
  });

  it('gives no place to a certificate that nobody collected', () => {
    const third = certificate('c', NOW + 2_000);
    const renewed = withNewCertificate(withNewCertificate(device, second), third, [second.fingerprint]);
    expect(renewed).toMatchObject({ current: third, previous: first });
    const all = [first.fingerprint, second.fingerprint];
    expect(withNewCertificate(withNewCertificate(device, second), third, all).previous).toBeNull();
  });

  it('admits the previous one to its expiry until the new one is seen, then for the overlap only', () => {
    const renewed = withNewCertificate(device, second);
    expect(admittedUntil(renewed, first.fingerprint)).toBe(first.expiresAt);
    const seen = withFirstAdmission(renewed, second.fingerprint, NOW + 5_000);
    expect(admittedUntil(seen, first.fingerprint)).toBe(NOW + 5_000 + OVERLAP_AFTER_ADMISSION_MS);
    expect(admittedUntil(seen, second.fingerprint)).toBe(second.expiresAt);
  });

  it('never admits the previous one past its own expiry', () => {
    const renewed = withNewCertificate(device, second);
    const seen = withFirstAdmission(renewed, second.fingerprint, first.expiresAt - 1_000);
    expect(admittedUntil(seen, first.fingerprint)).toBe(first.expiresAt);
  });

  it('does not move the first admission', () => {
    const seen = withFirstAdmission(device, first.fingerprint, NOW + 1);
    expect(withFirstAdmission(seen, first.fingerprint, NOW + 2)).toBe(seen);
  });

  it('does not take the previous one being used for an admission of the new one', () => {
    const renewed = withNewCertificate(device, second);
    expect(withFirstAdmission(renewed, first.fingerprint, NOW + 5_000)).toBe(renewed);
  });

  it('withdraws only the certificate that nobody collected', () => {
    const renewed = withNewCertificate(device, second);
    const withdrawn = withoutCertificate(renewed, second.fingerprint);
    expect(withdrawn?.current).toBe(first);
    expect(withdrawn?.previous).toBeNull();
  });

  it('leaves nothing when the withdrawn certificate was the only one', () => {
    expect(withoutCertificate(device, first.fingerprint)).toBeUndefined();
  });

  it('leaves nothing when neither of two approvals was collected, whichever is withdrawn first', () => {
    const again = withNewCertificate(device, second);
    for (const order of [
      [first.fingerprint, second.fingerprint],
      [second.fingerprint, first.fingerprint],
    ] as const) {
      const left = withoutCertificate(again, order[0]);
      expect(left).toBeDefined();
      expect(withoutCertificate(left!, order[1])).toBeUndefined();
    }
  });

  it('withdraws nothing that the device does not have', () => {
    expect(withoutCertificate(device, second.fingerprint)).toBe(device);
  });
});
