import 'reflect-metadata';
import { createPrivateKey, randomBytes, sign } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parseCertificate } from '../../src/ca/certificate-parser.js';
import { checkedEntries, signCrl } from '../../src/ca/crl/crl-signing.js';
import { encodeCrlEntry, encodeTbsCertList } from '../../src/ca/crl/crl-writer.js';
import {
  encodeBits,
  encodeContext,
  encodeOctets,
  encodeOid,
  encodeSequence,
  encodeTime,
  encodeUnsigned,
} from '../../src/ca/der-writer.js';
import {
  authorityKeyIdentifierExtension,
  basicConstraintsExtension,
  keyUsageExtension,
  subjectKeyIdentifierExtension,
} from '../../src/ca/extension-writer.js';
import type { Issuer } from '../../src/ca/issuer.js';
import { encodeDistinguishedName } from '../../src/ca/names.js';
import { decodeCertificates } from '../../src/ca/pem.js';
import type { ProfileKind } from '../../src/ca/profiles.js';
import { makeRoot } from '../../src/ca/root-record.js';
import { SIGNATURE_ALGORITHM } from '../../src/ca/public-key.js';
import { TestCa } from './test-ca.js';
import { findings, hasZlint } from './zlint.js';
import { newKeyPair } from '../../src/random/key-pair.js';

/**
 * What another linter says of everything that is issued; without it, skipped (docs/testing.md). A new kind of
 * certificate has to come with an example here.
 */
const EXAMPLES: Readonly<Record<ProfileKind, (ca: TestCa) => Promise<readonly Buffer[]>>> = {
  root: (ca) => Promise.resolve([ca.authority.signingRoot]),
  cross: async ({ authority }) => {
    const crossSigners = authority.issuers();
    const { crossCertificates } = await makeRoot(authority.trustDomain, Date.now(), randomBytes, {
      crossSigners,
    });
    return crossCertificates.map(({ der }) => der);
  },
  device: async (ca) => [
    (await ca.device()).certificate.der,
    (await ca.device({ algorithm: 'ed25519' })).certificate.der,
  ],
  'control-plane': async (ca) => [
    ...decodeCertificates((await ca.server(['cp.example', '192.0.2.7', '2001:db8::7'])).chain).slice(0, 1),
  ],
};

const NOW = Math.floor(Date.now() / 1000) * 1000;
const update = { number: NOW, thisUpdate: NOW, nextUpdate: NOW + 86_400_000 };
const entry = { serial: Buffer.alloc(16, 0x81), revokedAt: NOW, reasonCode: 4 };

let ca: TestCa;
let issuer: Issuer;

beforeAll(async () => {
  ca = await TestCa.create({ trustDomain: 'edge.example', publicHttpUrl: 'http://pki.example:7480' });
  const [first] = ca.authority.issuers();
  if (first === undefined) throw new Error('no issuer');
  issuer = first;
});

(hasZlint ? describe : describe.skip)('zlint', () => {
  it.each(Object.entries(EXAMPLES))('finds nothing in what is issued: %s', async (_kind, make) => {
    const certificates = await make(ca);
    expect(certificates.length).toBeGreaterThan(0);
    for (const der of certificates) expect(await findings('CERTIFICATE', der)).toEqual([]);
  });

  it.each([[[]], [[entry, { ...entry, serial: Buffer.alloc(16, 7), reasonCode: undefined }]]])(
    'finds nothing in a revocation list %#',
    async (entries) => {
      const der = await signCrl(issuer, update, checkedEntries(entries));
      expect(await findings('X509 CRL', der)).toEqual([]);
    },
  );

  const keyIdentifier = Buffer.alloc(20, 3);
  const leaf = [
    basicConstraintsExtension(null),
    keyUsageExtension(['digitalSignature']),
    authorityKeyIdentifierExtension(keyIdentifier),
    subjectKeyIdentifierExtension(keyIdentifier),
  ];
  const uncritical = encodeSequence(
    encodeOid('2.5.29.19'),
    encodeOctets(encodeSequence(Buffer.from('0101ff', 'hex'))),
  );

  it.each<[string, Planted, string]>([
    [
      'without authority key identifier',
      { extensions: [...leaf.slice(0, 2), ...leaf.slice(3)] },
      'e_ext_authority_key_identifier_no_key_identifier',
    ],
    [
      'of a CA with uncritical basic constraints',
      { extensions: [uncritical, keyUsageExtension(['keyCertSign']), ...leaf.slice(2)] },
      'e_basic_constraints_not_critical',
    ],
    [
      'that may sign certificates and is no CA',
      { extensions: [...leaf.slice(0, 1), keyUsageExtension(['keyCertSign']), ...leaf.slice(2)] },
      'e_ext_key_usage_cert_sign_without_ca',
    ],
    [
      'with a serial number of 21 octets',
      { extensions: leaf, serial: Buffer.alloc(21, 1) },
      'e_serial_number_longer_than_20_octets',
    ],
    ['with an extension twice', { extensions: [...leaf, ...leaf.slice(3)] }, 'e_ext_duplicate_extension'],
  ])('reports a planted certificate %s', async (_name, planted, lint) => {
    expect(await findings('CERTIFICATE', plant(planted))).toContain(lint);
  });

  it('reports a planted revocation list with a reason that is to be left out', async () => {
    const entries = encodeCrlEntry({ ...entry, reasonCode: 0 });
    const frame = { ...update, issuer: issuer.name, issuerKeyIdentifier: issuer.keyIdentifier };
    expect(await findings('X509 CRL', signed(encodeTbsCertList(frame, entries)))).toContain(
      'e_crl_has_valid_reason_code',
    );
  });
});

interface Planted {
  readonly extensions: readonly Buffer[];
  readonly serial?: Buffer;
}

/** A certificate that our writer would never make, signed by the CA. */
function plant({ extensions, serial = Buffer.alloc(16, 1) }: Planted): Buffer {
  const { publicKey } = newKeyPair('p256');
  const tbs = encodeSequence(
    encodeContext(0, encodeUnsigned(Buffer.of(2))),
    encodeUnsigned(serial),
    SIGNATURE_ALGORITHM.p256,
    parseCertificate(ca.authority.signingRoot).subject,
    encodeSequence(encodeTime(NOW), encodeTime(NOW + 86_400_000)),
    encodeDistinguishedName([{ type: 'CN', value: 'planted' }]),
    publicKey.export({ format: 'der', type: 'spki' }),
    encodeContext(3, encodeSequence(...extensions)),
  );
  return signed(tbs);
}

const signed = (tbs: Buffer): Buffer =>
  encodeSequence(
    tbs,
    SIGNATURE_ALGORITHM.p256,
    encodeBits(sign('sha256', tbs, createPrivateKey(ca.rootKey))),
  );
