import 'reflect-metadata';
import { createHash, createPrivateKey, randomBytes, type KeyObject } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { KeyUsageFlags } from '@peculiar/x509';
import fc from 'fast-check';
import { parseCertificate } from '../../src/ca/certificate-parser.js';
import type { SignedCertificate } from '../../src/ca/issued-certificate.js';
import { issueLeaf, issueRoot, openIssuer, type Issuer } from '../../src/ca/issuer.js';
import {
  controlPlaneProfile,
  deviceProfile,
  rootProfile,
  type CertificateProfile,
} from '../../src/ca/profiles.js';
import { keyIdentifier } from '../../src/ca/public-key.js';
import { ROOT_LIFETIME_MS } from '../../src/ca/root-record.js';
import { newDeviceId } from '../../src/identity/device-id.js';
import { ManualClock } from '../../src/time/clock.js';
import { verifiedCsr } from './test-ca.js';
import { oracleReading, oracleTbs, type OracleIssuer } from './x509-oracle.js';
import { newKeyPair } from '../../src/random/key-pair.js';
import { foreignKeyPair } from './foreign-key-pair.js';

/** What we write is, byte for byte, what another library writes of the same template, and it reads the same in it. */

const FIRST = Date.UTC(2026, 0, 1);
const CENTURY = 100 * 365 * 24 * 3_600_000;
const TURN = Date.UTC(2050, 0, 1);

let issuer: Issuer;
let oracle: OracleIssuer;

const keys = [
  ...Array.from({ length: 4 }, () => verifiedCsr('p256').csr.spki),
  ...Array.from({ length: 4 }, () => verifiedCsr('ed25519').csr.spki),
];

beforeAll(async () => {
  const { privateKey } = newKeyPair('p256');
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  const root = await issueRoot(pkcs8, 'edge.example', { issuedAt: FIRST, lifetimeMs: CENTURY }, randomBytes);
  issuer = await openIssuer(pkcs8, root.der);
  oracle = oracleOf(issuer, privateKey);
});

const oracleOf = ({ name, keyIdentifier: identifier }: Issuer, privateKey: KeyObject): OracleIssuer => ({
  name,
  keyIdentifier: identifier,
  privateKey,
});

const subjectKeyOf = (spki: Buffer): Buffer => keyIdentifier(spki.subarray(spki.length === 44 ? 12 : 26));

/** The template, read back from the certificate, given to the other library. */
async function expectOracleWrites(
  certificate: SignedCertificate,
  profile: CertificateProfile,
  from: OracleIssuer,
) {
  const { serial, notBefore, notAfter, spki, tbs } = parseCertificate(certificate.der);
  const written = await oracleTbs({ profile, serial, notBefore, notAfter, spki }, subjectKeyOf(spki), from);
  expect(tbs.toString('hex')).toBe(written.toString('hex'));
}

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
const domain = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const order = fc.record({
  spki: fc.constantFrom(...keys),
  issuedAt: fc.integer({ min: FIRST, max: FIRST + CENTURY - 1000 }),
  lifetimeMs: fc.integer({ min: 1000, max: CENTURY }),
});
/** The first byte is never zero; with its top bit set the INTEGER has 17 bytes. */
const serials = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .filter((bytes) => bytes[0] !== 0)
  .map((bytes) => Buffer.from(bytes));

describe('a device certificate', () => {
  const device = fc
    .integer({ min: 0, max: 2 ** 47 })
    .map((time) => newDeviceId(new ManualClock(time), randomBytes));

  it('is what another library writes', async () => {
    await fc.assert(
      fc.asyncProperty(domain, device, order, serials, async (trustDomain, deviceId, wanted, serial) => {
        const profile = deviceProfile(trustDomain, deviceId);
        await expectOracleWrites(await issueLeaf(issuer, profile, wanted, () => serial), profile, oracle);
      }),
      { numRuns: 50 },
    );
  });

  it('says the same to another library', async () => {
    await fc.assert(
      fc.asyncProperty(domain, device, order, serials, async (trustDomain, deviceId, wanted, serial) => {
        const profile = deviceProfile(trustDomain, deviceId);
        const { der, issuedAt, expiresAt } = await issueLeaf(issuer, profile, wanted, () => serial);
        expect(await oracleReading(der, issuer.certificate.der)).toEqual({
          serial: serial.toString('hex'),
          subject: `O=Palyra, CN=Palyra Device ${deviceId}`,
          issuer: `O=Palyra, CN=Palyra CA ${issuer.keyId.slice(0, 8)} edge.example`,
          notBefore: Math.max(Math.floor(issuedAt / 1000) * 1000 - 60_000, FIRST - 60_000),
          notAfter: expiresAt,
          spki: wanted.spki.toString('hex'),
          ca: false,
          keyUsages: KeyUsageFlags.digitalSignature,
          purposes: ['1.3.6.1.5.5.7.3.2'],
          names: [{ type: 'url', value: `spiffe://${trustDomain}/device/${deviceId}` }],
          subjectKeyIdentifier: subjectKeyOf(wanted.spki).toString('hex'),
          authorityKeyIdentifier: issuer.keyId,
          critical: ['2.5.29.19', '2.5.29.15'],
          extensions: 6,
          verifies: true,
        });
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ['on the last second of 2049', TURN - 1000, 0x17],
    ['on the first of 2050', TURN, 0x18],
  ])('that ends %s has its date in that form', async (_when, end, tag) => {
    const profile = deviceProfile('edge.example', '01K9ZAYT3M4V5W6X7Y8Z9ABCDE');
    const wanted = { spki: keys[0]!, issuedAt: end - 86_400_000, lifetimeMs: 86_400_000 };
    const certificate = await issueLeaf(issuer, profile, wanted, randomBytes);
    expect(certificate.expiresAt).toBe(end);
    const text = tag === 0x17 ? '491231235959Z' : '20500101000000Z';
    const time = Buffer.concat([Buffer.of(tag, text.length), Buffer.from(text)]);
    expect(certificate.der.includes(time)).toBe(true);
    await expectOracleWrites(certificate, profile, oracle);
  });
});

describe('a control-plane certificate', () => {
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter((text) => !text.includes('.')),
  );
  const names = fc.array(
    fc.oneof(
      address,
      domain.filter((text) => !/^[0-9.]+$/.test(text)),
    ),
    { maxLength: 8 },
  );

  it('is what another library writes', async () => {
    await fc.assert(
      fc.asyncProperty(domain, names, order, serials, async (trustDomain, wantedNames, wanted, serial) => {
        const profile = controlPlaneProfile(trustDomain, wantedNames);
        await expectOracleWrites(await issueLeaf(issuer, profile, wanted, () => serial), profile, oracle);
      }),
      { numRuns: 50 },
    );
  });
});

describe('a root', () => {
  it('is what another library writes', async () => {
    const { privateKey } = newKeyPair('p256');
    const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
    for (const issuedAt of [FIRST, TURN - ROOT_LIFETIME_MS - 1000, TURN - 1000, TURN]) {
      const wanted = { issuedAt, lifetimeMs: ROOT_LIFETIME_MS };
      const root = await issueRoot(pkcs8, 'edge.example', wanted, randomBytes);
      const own = await openIssuer(pkcs8, root.der);
      await expectOracleWrites(
        root,
        rootProfile('edge.example', own.keyId),
        oracleOf(own, createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })),
      );
    }
  });
});

describe('one issuer', () => {
  it('does not mix up the kinds of certificate it has made before', async () => {
    const device = deviceProfile('edge.example', '01K9ZAYT3M4V5W6X7Y8Z9ABCDE');
    const server = controlPlaneProfile('edge.example', []);
    const wanted = { spki: keys[0]!, issuedAt: FIRST, lifetimeMs: 1000 };
    for (const profile of [
      device,
      server,
      { ...device, purposes: [] },
      { ...device, keyUsage: ['cRLSign' as const] },
      device,
    ]) {
      const issued = issueLeaf(issuer, profile, wanted, randomBytes);
      await expectOracleWrites(await issued, profile, oracle);
    }
  });

  it('is not opened with another kind of key', async () => {
    const { privateKey } = newKeyPair('ed25519');
    const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
    await expect(openIssuer(pkcs8, issuer.certificate.der)).rejects.toThrow('must be P-256');
  });

  it('certifies nothing that has not the form of a key', async () => {
    const profile = deviceProfile('edge.example', '01K9ZAYT3M4V5W6X7Y8Z9ABCDE');
    const { publicKey } = foreignKeyPair('p384');
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    const issued = issueLeaf(issuer, profile, { spki, issuedAt: FIRST, lifetimeMs: 1000 }, randomBytes);
    await expect(issued).rejects.toMatchObject({ kind: 'internal', reason: 'ISSUANCE_KEY' });
  });

  it('names a certificate by the hash of its bytes', async () => {
    const profile = deviceProfile('edge.example', '01K9ZAYT3M4V5W6X7Y8Z9ABCDE');
    const wanted = { spki: keys[0]!, issuedAt: FIRST, lifetimeMs: 1000 };
    const { der, fingerprint } = await issueLeaf(issuer, profile, wanted, randomBytes);
    expect(fingerprint).toBe(createHash('sha256').update(der).digest('hex'));
  });
});
