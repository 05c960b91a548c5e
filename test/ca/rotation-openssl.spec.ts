import 'reflect-metadata';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { issueLeaf } from '../../src/ca/issuer.js';
import { decodeCertificates, encodePem } from '../../src/ca/pem.js';
import { crossProfile } from '../../src/ca/profiles.js';
import type { Root } from '../../src/ca/root-record.js';
import { SigningKey } from '../../src/ca/signer.js';
import { admin, DAY_MS, RotationWorld, TRUST_DOMAIN } from './rotation-world.js';
import { newKeyPair } from '../../src/random/key-pair.js';

/** What openssl says of the chains of a rotation, as a verifier that knows one root alone. */

const HOUR_MS = 3_600_000;
let directory: string;
let world: RotationWorld;
/** Three roots; A is forgotten, B retiring, C signs. */
let [A, B, C]: Root[] = [];
let server: Buffer[];
let device: Buffer[];
/** Leaves of B, from while A was retired and its way was shown. */
let serverOfB: Buffer[];
let deviceOfB: Buffer[];
let atOfB: number;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'palyra-rotation-openssl-'));
  world = await RotationWorld.open();
  const rootThatSigns = async (): Promise<Root> => (await world.rotation.list())[0]!.root;
  A = await rootThatSigns();
  await rotate();
  B = await rootThatSigns();
  world.clock.advance(DAY_MS + 1000);
  await world.replica.certificates.renewDue();
  await world.rotation.retire(admin, '', '');
  serverOfB = decodeCertificates(world.server().chain);
  deviceOfB = (await world.deviceWithKey()).chain;
  atOfB = world.clock.now();
  world.clock.advance(30 * DAY_MS);
  expect(await world.rotation.forgetRetired()).toBe(1);
  await rotate();
  C = await rootThatSigns();
  server = decodeCertificates(world.server().chain);
  device = (await world.deviceWithKey()).chain;
});

afterAll(async () => {
  expect(world.failures).toEqual([]);
  await world.remove();
  await rm(directory, { recursive: true, force: true });
});

async function rotate(): Promise<void> {
  world.clock.advance(1000);
  await world.rotation.prepare(admin, '');
  await world.rotation.activate(admin, '', '');
}

const pem = (certificates: readonly Buffer[]): string =>
  certificates.map((der) => encodePem('CERTIFICATE', der)).join('');
const rootOf = (root: Root | undefined): Buffer => root!.issuer.certificate.der;
const crossOf = (root: Root | undefined, by: Root | undefined): Buffer =>
  root!.crossCertificates.find(({ issuer }) => issuer.equals(by!.issuer.certificate.subject))!.der;

interface Question {
  readonly trusted: Root | undefined;
  readonly purpose: 'sslclient' | 'sslserver';
  /** The leaf, and what is shown behind it. */
  readonly chain: readonly Buffer[];
  /** Unix milliseconds; the world's time unless said otherwise. */
  readonly at?: number;
}

/** What openssl says: `OK`, or its number and words for what is wrong. */
async function verdict({ trusted, purpose, chain, at = world.clock.now() }: Question): Promise<string> {
  const [leaf, ...behind] = chain;
  const files = { 'root.pem': [rootOf(trusted)], 'behind.pem': behind, 'leaf.pem': [leaf!] };
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), pem(content));
  const when = String(Math.floor(at / 1000));
  const args = ['verify', '-x509_strict', '-check_ss_sig', '-attime', when, '-purpose', purpose];
  args.push('-no-CApath', '-no-CAstore', '-CAfile', 'root.pem');
  if (behind.length > 0) args.push('-untrusted', 'behind.pem');
  return new Promise((resolve) => {
    execFile('openssl', [...args, 'leaf.pem'], { cwd: directory, encoding: 'utf8' }, (_error, out, err) => {
      const [, problem] = /^error (.*)$/m.exec(err) ?? [];
      resolve(problem ?? (out === 'leaf.pem: OK\n' ? 'OK' : `${out}${err}`));
    });
  });
}

describe('openssl verify -x509_strict with one root', () => {
  it('takes server and device as they are shown, whichever root it knows', async () => {
    for (const trusted of [B, C]) {
      expect(await verdict({ trusted, purpose: 'sslserver', chain: server })).toBe('OK');
      expect(await verdict({ trusted, purpose: 'sslclient', chain: device })).toBe('OK');
    }
  });

  it('takes them by a root that is retired', async () => {
    for (const trusted of [A, B]) {
      expect(await verdict({ trusted, purpose: 'sslserver', chain: serverOfB, at: atOfB })).toBe('OK');
      expect(await verdict({ trusted, purpose: 'sslclient', chain: deviceOfB, at: atOfB })).toBe('OK');
    }
  });

  it('keeps to the purpose of the leaf on the way over a cross-certificate', async () => {
    const unsuitable = '26 at 0 depth lookup: unsuitable certificate purpose';
    expect(await verdict({ trusted: B, purpose: 'sslclient', chain: server })).toBe(unsuitable);
    expect(await verdict({ trusted: B, purpose: 'sslserver', chain: device })).toBe(unsuitable);
  });
});

describe('openssl with the old root alone refuses', () => {
  const way = (...behind: Buffer[]): Question => ({
    trusted: B,
    purpose: 'sslclient',
    chain: [device[0]!, ...behind],
  });

  it('a chain without the cross-certificate', async () => {
    expect(await verdict(way(crossOf(C, B)))).toBe('OK');
    expect(await verdict(way())).toBe('20 at 0 depth lookup: unable to get local issuer certificate');
    expect(await verdict(way(rootOf(C)))).toBe(
      '19 at 1 depth lookup: self-signed certificate in certificate chain',
    );
    // One of another root is no way to this one.
    expect(await verdict(way(crossOf(B, A)))).toBe(
      '20 at 0 depth lookup: unable to get local issuer certificate',
    );
  });

  it('a cross-certificate that has expired', async () => {
    const { spki } = C!.issuer.certificate;
    const order = { spki, issuedAt: world.clock.now(), lifetimeMs: HOUR_MS };
    const profile = crossProfile(TRUST_DOMAIN, C!.issuer.keyId);
    const short = await issueLeaf(B!.issuer, profile, order, randomBytes);
    expect(await verdict(way(short.der))).toBe('OK');
    const later = { ...way(short.der), at: short.expiresAt + 1000 };
    expect(await verdict(later)).toBe('10 at 1 depth lookup: certificate has expired');
  });

  it('a way over two cross-certificates: a path longer than the first of them allows', async () => {
    const long = { ...way(crossOf(C, B), crossOf(B, A)), trusted: A };
    expect(await verdict(long)).toBe('25 at 2 depth lookup: path length constraint exceeded');
  });

  it('a cross-certificate that another key has signed', async () => {
    const { privateKey } = newKeyPair('p256');
    const signingKey = await SigningKey.open(privateKey.export({ format: 'der', type: 'pkcs8' }));
    // Name and key identifier are those of B: only the signature tells.
    const forger = { ...B!.issuer, signingKey, publicKey: signingKey.publicKey };
    const { spki } = C!.issuer.certificate;
    const order = { spki, issuedAt: world.clock.now(), lifetimeMs: HOUR_MS };
    const forged = await issueLeaf(forger, crossProfile(TRUST_DOMAIN, C!.issuer.keyId), order, randomBytes);
    expect(await verdict(way(forged.der))).toBe('7 at 1 depth lookup: certificate signature failure');
  });
});
