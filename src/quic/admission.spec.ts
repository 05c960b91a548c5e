import { describe, expect, it } from '@jest/globals';
import type { DeviceCertificate, DeviceIdentity } from '../identity/device-identity.js';
import { decideAdmission } from './admission.js';

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;
const DEVICE = '01K9ZAYT3M4V5W6X7Y8Z9ABCDE';

const certificate = (fingerprint: string, changes: Partial<DeviceCertificate> = {}): DeviceCertificate => ({
  fingerprint,
  keyHash: null,
  serial: '00',
  issuedAt: NOW - HOUR,
  expiresAt: NOW + HOUR,
  firstAdmittedAt: null,
  ...changes,
});

const identity = (changes: Partial<DeviceIdentity> = {}): DeviceIdentity => ({
  deviceId: DEVICE,
  clientKind: 'node',
  platform: '',
  identityKey: Buffer.alloc(32),
  pairedAt: NOW - HOUR,
  current: certificate('new'),
  previous: null,
  suspendedAt: null,
  conflictAt: null,
  ...changes,
});

const verdict = (fingerprint: string, notAfter = NOW + HOUR) =>
  ({ ok: true, deviceId: DEVICE, fingerprint, notAfter }) as const;

const overlapping = (firstAdmittedAt: number | null): DeviceIdentity =>
  identity({ current: certificate('new', { firstAdmittedAt }), previous: certificate('old') });

describe('decideAdmission', () => {
  it('admits the current certificate until it expires, and says when it is the first time', () => {
    expect(decideAdmission(verdict('new'), identity(), NOW)).toEqual({
      admitted: true,
      deviceId: DEVICE,
      fingerprint: 'new',
      endsAt: NOW + HOUR,
      endReason: 'expired',
      currentFingerprint: 'new',
      first: true,
    });
    const known = identity({ current: certificate('new', { firstAdmittedAt: NOW - 1 }) });
    expect(decideAdmission(verdict('new'), known, NOW)).toMatchObject({ admitted: true, first: false });
  });

  it('ends with the earlier of certificate and record', () => {
    expect(decideAdmission(verdict('new', NOW + 5), identity(), NOW)).toMatchObject({ endsAt: NOW + 5 });
    const short = identity({ current: certificate('new', { expiresAt: NOW + 7 }) });
    expect(decideAdmission(verdict('new'), short, NOW)).toMatchObject({
      endsAt: NOW + 7,
      endReason: 'expired',
    });
  });

  it('admits the previous certificate until the new one was admitted, then for 60 s', () => {
    expect(decideAdmission(verdict('old'), overlapping(null), NOW)).toMatchObject({
      admitted: true,
      endsAt: NOW + HOUR,
      endReason: 'expired',
      currentFingerprint: 'new',
      first: false,
    });
    expect(decideAdmission(verdict('old'), overlapping(NOW - 59_999), NOW)).toMatchObject({
      admitted: true,
      endsAt: NOW + 1,
      endReason: 'superseded',
    });
    expect(decideAdmission(verdict('old'), overlapping(NOW - 60_000), NOW)).toMatchObject({
      admitted: false,
      reason: 'certificate_not_current',
    });
  });

  it.each([
    ['a chain that does not hold', { ok: false, reason: 'eku' } as const, identity(), 'chain'],
    ['no identity', verdict('new'), undefined, 'unknown_device'],
    ['the identity of another device', verdict('new'), identity({ deviceId: 'X' }), 'unknown_device'],
    ['a suspended device', verdict('new'), identity({ suspendedAt: NOW }), 'suspended'],
    ['a certificate nobody knows', verdict('other'), identity(), 'certificate_not_current'],
    [
      'an identity without certificate',
      verdict('new'),
      identity({ current: null }),
      'certificate_not_current',
    ],
    ['the moment of expiry', verdict('new', NOW), identity(), 'certificate_expired'],
    [
      'a record that has expired',
      verdict('new'),
      identity({ current: certificate('new', { expiresAt: NOW }) }),
      'certificate_expired',
    ],
  ])('refuses %s', (_name, chain, stored, reason) => {
    expect(decideAdmission(chain, stored, NOW)).toMatchObject({ admitted: false, reason });
  });
});
