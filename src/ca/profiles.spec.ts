import { describe, expect, it } from '@jest/globals';
import { canonicalIpAddress } from './certificate-extensions.js';
import { controlPlaneProfile, deviceProfile, rootProfile } from './profiles.js';

const DOMAIN = 'edge.example';
const DEVICE = '01K9ZAYT3M4V5W6X7Y8Z9ABCDE';

describe('the device profile', () => {
  it('has one URI and clientAuth alone', () => {
    expect(deviceProfile(DOMAIN, DEVICE)).toEqual({
      kind: 'device',
      subject: [
        { type: 'O', value: 'Palyra' },
        { type: 'CN', value: `Palyra Device ${DEVICE}` },
      ],
      subjectAltNames: [{ type: 'uri', value: `spiffe://${DOMAIN}/device/${DEVICE}` }],
      keyUsage: ['digitalSignature'],
      purposes: ['clientAuth'],
      ca: null,
      subjectId: `device/${DEVICE}`,
    });
  });

  it.each([DEVICE.toLowerCase(), `8${DEVICE.slice(1)}`, DEVICE.slice(1), `${DEVICE}/x`, ''])(
    'refuses "%s"',
    (id) => {
      expect(() => deviceProfile(DOMAIN, id)).toThrow(expect.objectContaining({ reason: 'DEVICE_ID' }));
    },
  );
});

describe('the control-plane profile', () => {
  const always = [
    { type: 'uri', value: 'spiffe://edge.example/control-plane' },
    { type: 'dns', value: 'control-plane.edge.example' },
    { type: 'dns', value: 'localhost' },
    { type: 'ip', value: '127.0.0.1' },
    { type: 'ip', value: '0:0:0:0:0:0:0:1' },
  ];

  it('has the names that every door has', () => {
    const profile = controlPlaneProfile(DOMAIN, []);
    expect(profile.subjectAltNames).toEqual(always);
    expect(profile.purposes).toEqual(['serverAuth']);
    expect(profile.keyUsage).toEqual(['digitalSignature']);
  });

  it('has each configured name once, without regard to case and spelling', () => {
    const names = [
      'CP.Example.org',
      'cp.example.ORG',
      'LOCALHOST',
      '192.0.2.7',
      '::1',
      '2001:DB8::1',
      '2001:db8:0::0:1',
    ];
    expect(controlPlaneProfile(DOMAIN, names).subjectAltNames).toEqual([
      ...always,
      { type: 'dns', value: 'cp.example.org' },
      { type: 'ip', value: '192.0.2.7' },
      { type: 'ip', value: '2001:db8:0:0:0:0:0:1' },
    ]);
  });

  it.each([
    '',
    '*.example.org',
    'a_b.example',
    'example.',
    '-a.example',
    '1.2.3',
    'fe80::1%eth0',
    'a b',
    'x'.repeat(64),
  ])('refuses "%s"', (name) => {
    expect(() => controlPlaneProfile(DOMAIN, [name])).toThrow(
      expect.objectContaining({ reason: 'SERVER_NAME' }),
    );
  });
});

describe('the root profile', () => {
  it('has a common name of at most 64 characters that differs from root to root', () => {
    const long = `${'a'.repeat(60)}.example`;
    const [one, other] = ['11111111', '22222222'].map(
      (keyId) => rootProfile(long, keyId).subject[1]?.value ?? '',
    );
    expect(one).toHaveLength(64);
    expect(one).not.toBe(other);
    expect(rootProfile(DOMAIN, '0123456789abcdef').subject[1]?.value).toBe('Palyra CA 01234567 edge.example');
  });
});

describe('IPv6 addresses', () => {
  it.each([
    ['::', '0:0:0:0:0:0:0:0'],
    ['::1', '0:0:0:0:0:0:0:1'],
    ['2001:db8::', '2001:db8:0:0:0:0:0:0'],
    ['2001:0DB8:0:0:1::1', '2001:db8:0:0:1:0:0:1'],
    ['::ffff:192.0.2.1', '0:0:0:0:0:ffff:c000:201'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ])('%s has one spelling', (address, canonical) => {
    expect(canonicalIpAddress(address)).toBe(canonical);
  });
});
