import 'reflect-metadata';
import { createHash, createPrivateKey, randomBytes, X509Certificate as NodeCertificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as x509 from '@peculiar/x509';
import { CertificateAuthority } from '../../src/ca/certificate-authority.js';
import { findIssued, markRevoked, recordIssued } from '../../src/ca/certificate-index.js';
import { fixTrustDomain } from '../../src/ca/cluster-record.js';
import { EXTENSION } from '../../src/ca/certificate-extensions.js';
import { parseCertificate } from '../../src/ca/certificate-parser.js';
import { encodeContext, encodeSequence, TRUE } from '../../src/ca/der-writer.js';
import { oidOf, openSequence, TAG } from '../../src/ca/der.js';
import { DEFAULT_CERT_VALIDITY } from '../../src/ca/issued-certificate.js';
import { issueLeaf, issueRoot, openIssuer } from '../../src/ca/issuer.js';
import { checkOwnOutput, type ExpectedIssuer } from '../../src/ca/output-check.js';
import { decodeCertificates } from '../../src/ca/pem.js';
import { deviceProfile, rootProfile } from '../../src/ca/profiles.js';
import { makeRoot, openRootRecord, ROOT_LIFETIME_MS } from '../../src/ca/root-record.js';
import type { CertificateTemplate } from '../../src/ca/template.js';
import { ManualClock } from '../../src/time/clock.js';
import { TemporaryStore } from '../store/temporary-store.js';
import { verifiedCsr } from './test-ca.js';
import { newKeyPair } from '../../src/random/key-pair.js';

const NOW = Date.UTC(2026, 5, 1, 12, 0, 0, 250);
const DEVICE = '01K9ZAYT3M4V5W6X7Y8Z9ABCDE';
const settings = { trustDomain: 'edge.example', clock: new ManualClock(NOW) };

let directory: TemporaryStore;
let authority: CertificateAuthority;

const createOrLoad = (changes: Partial<typeof settings> = {}): Promise<CertificateAuthority> =>
  directory.store.unitOfWork.run((unit) =>
    CertificateAuthority.createOrLoad(unit, { ...settings, ...changes }),
  );

beforeAll(async () => {
  directory = await TemporaryStore.open();
  authority = await createOrLoad();
});

afterAll(() => directory.remove());

describe('the root', () => {
  it('is made once and is the same after a restart', async () => {
    await directory.reopen();
    const again = await createOrLoad();
    expect(again.keyId).toBe(authority.keyId);
    expect(again.trustBundle()).toEqual(authority.trustBundle());
    expect(again.caKeyHash().equals(authority.caKeyHash())).toBe(true);
    expect(await directory.store.committed.secrets.list('ca/')).toEqual([`ca/${authority.keyId}`]);
  });

  it('is a CA of ten years with the trust domain in its name', () => {
    const root = new x509.X509Certificate(authority.signingRoot);
    expect(root.subject).toBe(`O=Palyra, CN=Palyra CA ${authority.keyId.slice(0, 8)} edge.example`);
    expect(root.issuer).toBe(root.subject);
    expect(root.notBefore.getTime()).toBe(NOW - 250 - 60_000);
    expect(root.notAfter.getTime()).toBe(NOW - 250 + ROOT_LIFETIME_MS);
    const constraints = root.getExtension(x509.BasicConstraintsExtension);
    expect(constraints).toMatchObject({ critical: true, ca: true, pathLength: 1 });
    const usage = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign;
    expect(root.getExtension(x509.KeyUsagesExtension)).toMatchObject({ critical: true, usages: usage });
    expect(root.getExtension(x509.ExtendedKeyUsageExtension)).toBeNull();
  });

  it('is named by RFC 7093, method 1, and pinned by the hash of its SubjectPublicKeyInfo', () => {
    const spki = new NodeCertificate(authority.signingRoot).publicKey.export({ format: 'der', type: 'spki' });
    const bits = spki.subarray(-65);
    expect(authority.keyId).toBe(createHash('sha256').update(bits).digest('hex').slice(0, 40));
    expect(authority.caKeyHash().toString('hex')).toBe(createHash('sha256').update(spki).digest('hex'));
  });

  it('is audited and in the index', async () => {
    const fingerprint = createHash('sha256').update(authority.signingRoot).digest('hex');
    const row = await findIssued(directory.store.committed, fingerprint);
    expect(row).toMatchObject({ sequence: 1, profile: 'root', subjectId: `ca/${authority.keyId}` });
    expect(row?.der.equals(authority.signingRoot)).toBe(true);
  });

  it('belongs to a trust domain that is fixed at the first start', async () => {
    const fix = (wanted?: string): Promise<string> =>
      directory.store.unitOfWork.run((unit) => fixTrustDomain(unit, wanted, randomBytes));
    const first = await fix();
    expect(first).toMatch(/^[0-9a-hjkmnp-tv-z]{10}\.palyra\.internal$/);
    expect(await fix()).toBe(first);
    expect(await fix(first)).toBe(first);
    await expect(fix('other.example')).rejects.toMatchObject({
      kind: 'wrong_state',
      reason: 'TRUST_DOMAIN',
      message: expect.stringContaining('other.example'),
    });
    expect(await fix()).toBe(first);
  });

  it('does not change its trust domain', async () => {
    await expect(createOrLoad({ trustDomain: 'other.example' })).rejects.toMatchObject({
      kind: 'wrong_state',
      reason: 'TRUST_DOMAIN',
      message: expect.stringMatching(/"edge\.example".*"other\.example"/),
    });
  });
});

describe('a device certificate', () => {
  it('says what its profile says and nothing more', async () => {
    const { csr } = verifiedCsr('ed25519');
    const issued = await authority.issueDeviceCertificate({
      deviceId: DEVICE,
      csr,
      lifetimeMs: DEFAULT_CERT_VALIDITY,
    });
    const leaf = new x509.X509Certificate(issued.der);
    expect(
      await leaf.verify({ publicKey: new x509.X509Certificate(authority.signingRoot), signatureOnly: true }),
    ).toBe(true);
    expect(leaf.subject).toBe(`O=Palyra, CN=Palyra Device ${DEVICE}`);
    expect(issued.subject).toBe(`CN=Palyra Device ${DEVICE},O=Palyra`);
    expect(leaf.serialNumber).toBe(issued.serial);
    expect(issued.serial).toMatch(/^(?!00)[0-9a-f]{32}$/);
    expect(Buffer.from(leaf.publicKey.rawData).equals(csr.spki)).toBe(true);
    expect(leaf.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON()).toEqual([
      { type: 'url', value: `spiffe://edge.example/device/${DEVICE}` },
    ]);
    expect(leaf.getExtension(x509.ExtendedKeyUsageExtension)?.usages).toEqual([
      x509.ExtendedKeyUsage.clientAuth,
    ]);
    expect(leaf.getExtension(x509.BasicConstraintsExtension)).toMatchObject({ critical: true, ca: false });
    expect(leaf.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId).toBe(authority.keyId);
    expect(leaf.extensions).toHaveLength(6);
  });

  it('carries its dates in Unix milliseconds as they stand in it', async () => {
    const { csr } = verifiedCsr();
    const issued = await authority.issueDeviceCertificate({
      deviceId: DEVICE,
      csr,
      lifetimeMs: DEFAULT_CERT_VALIDITY,
    });
    const { notBefore, notAfter } = parseCertificate(issued.der);
    expect(issued.issuedAt).toBe(NOW);
    expect(issued.expiresAt).toBe(notAfter);
    expect([notBefore, notAfter]).toEqual([NOW - 250 - 60_000, NOW - 250 + DEFAULT_CERT_VALIDITY]);
    expect(issued.fingerprint).toBe(createHash('sha256').update(issued.der).digest('hex'));
    expect(decodeCertificates(issued.pem)[0]?.equals(issued.der)).toBe(true);
    expect(JSON.stringify(Object.keys(issued))).not.toMatch(/key"|private/i);
  });

  it('is not issued for what is no device id', async () => {
    const { csr } = verifiedCsr();
    const order = { deviceId: '../control-plane', csr, lifetimeMs: 1000 };
    await expect(authority.issueDeviceCertificate(order)).rejects.toMatchObject({ reason: 'DEVICE_ID' });
  });
});

describe('the index of issued certificates', () => {
  const issued = async () => {
    const { csr } = verifiedCsr();
    return authority.issueDeviceCertificate({ deviceId: DEVICE, csr, lifetimeMs: DEFAULT_CERT_VALIDITY });
  };

  it('numbers them one after another', async () => {
    const [first, second] = await Promise.all([issued(), issued()]);
    const { unitOfWork, committed } = directory.store;
    const one = await unitOfWork.run((unit) => recordIssued(unit, first));
    const two = await unitOfWork.run((unit) => recordIssued(unit, second));
    expect(two.sequence).toBe(one.sequence + 1);
    expect(await findIssued(committed, second.fingerprint)).toEqual(two);
  });

  it('keeps nothing of a unit of work that fails', async () => {
    const certificate = await issued();
    const failing = directory.store.unitOfWork.run(async (unit) => {
      await recordIssued(unit, certificate);
      throw new Error('refused after all');
    });
    await expect(failing).rejects.toThrow('refused after all');
    expect(await findIssued(directory.store.committed, certificate.fingerprint)).toBeUndefined();
  });

  it('takes no serial number twice from one issuer', async () => {
    const [one, other] = await Promise.all([issued(), issued()]);
    const { unitOfWork } = directory.store;
    await unitOfWork.run((unit) => recordIssued(unit, one));
    await expect(
      unitOfWork.run((unit) => recordIssued(unit, { ...other, serial: one.serial })),
    ).rejects.toThrow();
    expect(await findIssued(directory.store.committed, other.fingerprint)).toBeUndefined();
  });

  it('marks what is revoked', async () => {
    const certificate = await issued();
    await directory.store.unitOfWork.run(async (unit) => {
      await recordIssued(unit, certificate);
      await markRevoked(unit, certificate.subjectId, { at: NOW + 5 });
    });
    const rows = await directory.store.committed.tables.query<unknown>(
      'SELECT DISTINCT revoked_at FROM certificate WHERE subject_id = ?',
      [`device/${DEVICE}`],
    );
    expect(rows).toEqual([{ revoked_at: NOW + 5 }]);
  });
});

describe('a damaged store', () => {
  it('with the CA gone and devices left does not get a new CA', async () => {
    const own = await TemporaryStore.open();
    const opened = own.store.unitOfWork.run(async (unit) => {
      await unit.secrets.write(`device/${DEVICE}`, Buffer.from('{}'));
      return CertificateAuthority.createOrLoad(unit, settings);
    });
    await expect(opened).rejects.toMatchObject({ kind: 'corrupt', reason: 'CA_MISSING' });
    await own.remove();
  });

  it.each<[string, (record: Record<string, unknown>) => unknown]>([
    ['is no JSON', () => 'x'],
    ['has another version', (record) => ({ ...record, v: 2 })],
    ['has no certificate in it', (record) => ({ ...record, certificate: 'AAAA' })],
    ['has the key of another', (record) => ({ ...record, privateKey: newKey().toString('base64') })],
  ])('whose CA record %s stops with an error that names it', async (_name, change) => {
    const own = await TemporaryStore.open();
    const name = `ca/${authority.keyId}`;
    const record = (await directory.store.committed.secrets.read(name))!;
    const changed = JSON.stringify(change(JSON.parse(record.toString()) as Record<string, unknown>));
    const opened = own.store.unitOfWork.run(async (unit) => {
      await unit.secrets.write(name, Buffer.from(changed));
      return CertificateAuthority.createOrLoad(unit, settings);
    });
    await expect(opened).rejects.toMatchObject({ kind: 'corrupt', message: expect.stringContaining(name) });
    await own.remove();
  });

  it('whose CA record stands under another name is refused', async () => {
    const record = await directory.store.committed.secrets.read(`ca/${authority.keyId}`);
    const name = `ca/${'0'.repeat(40)}`;
    await expect(openRootRecord(name, record!)).rejects.toMatchObject({
      kind: 'corrupt',
      reason: 'RECORD_CORRUPT',
    });
  });

  it('with two CA keys that sign is refused', async () => {
    const roots = await Promise.all([1, 2].map(() => makeRoot('edge.example', NOW, randomBytes)));
    expect(
      () =>
        new CertificateAuthority(
          roots.map(({ root }) => root),
          settings,
        ),
    ).toThrow(expect.objectContaining({ kind: 'corrupt', reason: 'CA_STATE' }));
  });
});

describe('an issuer', () => {
  it('is not made of the key and certificate of a leaf', async () => {
    const { csr, privateKey } = verifiedCsr();
    const { der } = await authority.issueDeviceCertificate({ deviceId: DEVICE, csr, lifetimeMs: 60_000 });
    const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
    await expect(openIssuer(pkcs8, der)).rejects.toThrow('not that of a CA');
    await expect(openIssuer(newKey(), authority.signingRoot)).rejects.toThrow('not that of the certificate');
  });
});

describe('the check of own output', () => {
  it.each<[string, (template: CertificateTemplate) => Partial<CertificateTemplate>]>([
    ['serial', () => ({ serial: Buffer.alloc(16, 1) })],
    ['notBefore', ({ notBefore }) => ({ notBefore: notBefore + 1000 })],
    ['notAfter', ({ notAfter }) => ({ notAfter: notAfter - 1000 })],
    ['public key', () => ({ spki: verifiedCsr().csr.spki })],
    ['subject', ({ profile }) => ({ profile: { ...profile, subject: [{ type: 'CN', value: 'x' }] } })],
    [
      'subjectAltName',
      ({ profile }) => ({ profile: { ...profile, subjectAltNames: [{ type: 'dns', value: 'x' }] } }),
    ],
    ['extKeyUsage', ({ profile }) => ({ profile: { ...profile, purposes: ['serverAuth'] } })],
    ['extensions', ({ profile }) => ({ profile: { ...profile, purposes: [] } })],
    ['keyUsage', ({ profile }) => ({ profile: { ...profile, keyUsage: ['keyCertSign'] } })],
    ['basicConstraints', ({ profile }) => ({ profile: { ...profile, ca: { pathLength: 0 } } })],
  ])('finds another %s', async (field, change) => {
    const { certificate, template, issuer } = await sample();
    const other = { ...template, ...change(template) };
    const check = (expected: CertificateTemplate) => () =>
      checkOwnOutput(certificate.der, expected, issuer.subjectKey, issuer);
    expect(check(template)).not.toThrow();
    expect(check(other)).toThrow(expect.objectContaining({ reason: 'ISSUANCE_CHECK', cause: field }));
  });

  it.each<[string, (issuer: ExpectedIssuer) => Partial<ExpectedIssuer>]>([
    ['issuer', ({ name }) => ({ name: Buffer.concat([name, Buffer.of(0)]) })],
    ['authorityKeyIdentifier', () => ({ keyIdentifier: Buffer.alloc(20) })],
  ])('finds another %s', async (field, change) => {
    const { certificate, template, issuer } = await sample();
    const other = { ...issuer, ...change(issuer) };
    expect(() => checkOwnOutput(certificate.der, template, issuer.subjectKey, other)).toThrow(
      expect.objectContaining({ reason: 'ISSUANCE_CHECK', cause: field }),
    );
  });

  it('finds another subjectKeyIdentifier', async () => {
    const { certificate, template, issuer } = await sample();
    expect(() => checkOwnOutput(certificate.der, template, Buffer.alloc(20), issuer)).toThrow(
      expect.objectContaining({ reason: 'ISSUANCE_CHECK', cause: 'subjectKeyIdentifier' }),
    );
  });

  it('finds another path length', async () => {
    const { issuer } = await sample();
    const { der, serial, notBefore, notAfter, spki } = issuer.certificate;
    const profile = rootProfile('edge.example', issuer.keyId);
    const check = (pathLength: number) => () =>
      checkOwnOutput(
        der,
        { profile: { ...profile, ca: { pathLength } }, serial, notBefore, notAfter, spki },
        issuer.keyIdentifier,
        issuer,
      );
    expect(check(1)).not.toThrow();
    expect(check(2)).toThrow(expect.objectContaining({ cause: 'path length' }));
  });

  it('finds another signer and a damaged signature', async () => {
    const { certificate, template, issuer } = await sample();
    const { publicKey } = newKeyPair('p256');
    const damaged = Buffer.from(certificate.der);
    damaged[damaged.length - 1]! ^= 1;
    for (const [der, key] of [
      [certificate.der, publicKey],
      [damaged, issuer.publicKey],
    ] as const) {
      expect(() => checkOwnOutput(der, template, issuer.subjectKey, { ...issuer, publicKey: key })).toThrow(
        expect.objectContaining({ reason: 'ISSUANCE_CHECK', cause: 'signature' }),
      );
    }
  });

  it('finds another extension marked critical', async () => {
    const { template, issuer } = await sample();
    const tbs = withCriticalKeyIdentifier(issuer.tbsEncoder.encode(template, issuer.subjectKey));
    const der = await issuer.signingKey.certify(tbs);
    expect(() => checkOwnOutput(der, template, issuer.subjectKey, issuer)).toThrow(
      expect.objectContaining({ reason: 'ISSUANCE_CHECK', cause: 'critical extensions' }),
    );
  });

  it('stands between signing and everybody else', async () => {
    const { issuer, template } = await sample();
    const { publicKey } = newKeyPair('p256');
    const order = { spki: template.spki, issuedAt: NOW, lifetimeMs: 60_000 };
    await expect(
      issueLeaf({ ...issuer, publicKey }, template.profile, order, randomBytes),
    ).rejects.toMatchObject({
      kind: 'internal',
      reason: 'ISSUANCE_CHECK',
    });
  });

  async function sample() {
    const pkcs8 = newKey();
    const root = await issueRoot(
      pkcs8,
      'edge.example',
      { issuedAt: NOW, lifetimeMs: ROOT_LIFETIME_MS },
      randomBytes,
    );
    const issuer = await openIssuer(pkcs8, root.der);
    const profile = deviceProfile('edge.example', DEVICE);
    const { spki } = verifiedCsr().csr;
    const certificate = await issueLeaf(
      issuer,
      profile,
      { spki, issuedAt: NOW, lifetimeMs: 60_000 },
      randomBytes,
    );
    const { notBefore, notAfter, serial } = parseCertificate(certificate.der);
    const subjectKey = createHash('sha256').update(spki.subarray(-65)).digest().subarray(0, 20);
    return {
      certificate,
      template: { profile, serial, notBefore, notAfter, spki },
      issuer: { ...issuer, subjectKey },
    };
  }
});

function newKey(): Buffer {
  const { privateKey } = newKeyPair('p256');
  return createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' })).export({
    format: 'der',
    type: 'pkcs8',
  });
}

/** The same TBSCertificate, its subjectKeyIdentifier marked critical. */
function withCriticalKeyIdentifier(tbs: Buffer): Buffer {
  const parts: Buffer[] = [];
  const body = openSequence(tbs);
  while (body.peek() !== 0xa3) parts.push(body.next().raw);
  const extensions: Buffer[] = [];
  const list = body.enter(0xa3).enter();
  while (!list.done) {
    const extension = list.enter();
    const oid = extension.next(TAG.oid);
    const isKeyIdentifier = oidOf(oid) === EXTENSION.subjectKeyIdentifier;
    const content = [oid.raw, ...(isKeyIdentifier ? [TRUE] : [])];
    while (!extension.done) content.push(extension.next().raw);
    extensions.push(encodeSequence(...content));
  }
  return encodeSequence(...parts, encodeContext(3, encodeSequence(...extensions)));
}
