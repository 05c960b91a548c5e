import 'reflect-metadata';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { verifyCsr } from '../../src/ca/csr.js';
import { HOSTILE_CASES, type HostileCase } from './hostile-certificates.js';
import { TestCa } from './test-ca.js';

/** What another implementation, the one most relying parties use, says of our certificates. */

let directory: string;
let ca: TestCa;

interface Outcome {
  readonly code: number;
  readonly text: string;
}

const openssl = (...args: string[]): Promise<Outcome> =>
  new Promise((resolve) => {
    execFile('openssl', args, { cwd: directory, encoding: 'utf8' }, (error, stdout, stderr) => {
      resolve({ code: error ? 1 : 0, text: `${stdout}${stderr}${error && !stderr ? error.message : ''}` });
    });
  });

const verify = (purpose: 'sslclient' | 'sslserver', file: string): Promise<Outcome> =>
  openssl('verify', '-x509_strict', '-check_ss_sig', '-purpose', purpose, '-CAfile', 'root.pem', file);

const file = (name: string, content: string | Buffer): Promise<void> =>
  writeFile(join(directory, name), content);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'palyra-openssl-'));
  ca = await TestCa.create({ trustDomain: 'edge.example' });
  await file('root.pem', ca.rootPem);
  await file('device.pem', (await ca.device({ deviceId: '01K9ZAYT3M4V5W6X7Y8Z9ABCDE' })).chain);
  await file('ed25519.pem', (await ca.device({ algorithm: 'ed25519' })).chain);
  await file('server.pem', (await ca.server(['cp.example', '192.0.2.7', '2001:db8::7'])).chain);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

describe('openssl verify -x509_strict', () => {
  it.each(['device.pem', 'ed25519.pem'])('takes %s as a client and not as a server', async (name) => {
    expect(await verify('sslclient', name)).toEqual({ code: 0, text: `${name}: OK\n` });
    const asServer = await verify('sslserver', name);
    expect(asServer.code).toBe(1);
    expect(asServer.text).toMatch(/unsuitable certificate purpose/);
  });

  it('takes the control plane as a server and not as a client', async () => {
    expect(await verify('sslserver', 'server.pem')).toEqual({ code: 0, text: 'server.pem: OK\n' });
    const asClient = await verify('sslclient', 'server.pem');
    expect(asClient.code).toBe(1);
    expect(asClient.text).toMatch(/unsuitable certificate purpose/);
  });

  it('takes the root by itself', async () => {
    expect(
      await openssl('verify', '-x509_strict', '-check_ss_sig', '-CAfile', 'root.pem', 'root.pem'),
    ).toEqual({
      code: 0,
      text: 'root.pem: OK\n',
    });
  });

  it.each([
    ['-verify_hostname', 'control-plane.edge.example'],
    ['-verify_hostname', 'localhost'],
    ['-verify_hostname', 'cp.example'],
    ['-verify_ip', '192.0.2.7'],
    ['-verify_ip', '2001:db8::7'],
    ['-verify_ip', '::1'],
  ])('holds the control plane to %s %s', async (option, name) => {
    const outcome = await openssl('verify', option, name, '-CAfile', 'root.pem', 'server.pem');
    expect(outcome).toEqual({ code: 0, text: 'server.pem: OK\n' });
  });

  it('knows no other name of the control plane', async () => {
    const outcome = await openssl(
      'verify',
      '-verify_hostname',
      'x.example',
      '-CAfile',
      'root.pem',
      'server.pem',
    );
    expect(outcome.text).toMatch(/hostname mismatch/i);
  });

  const OPENSSL_SAYS: Partial<Record<HostileCase, RegExp>> = {
    foreign_ca: /certificate signature failure/,
    self_signed: /certificate signature failure/,
    expired: /certificate has expired/,
    not_yet_valid: /certificate is not yet valid/,
    server_auth_only: /unsuitable certificate purpose/,
    critical_unknown: /unhandled critical extension/,
  };

  it.each(HOSTILE_CASES.filter((name) => name in OPENSSL_SAYS))(
    'refuses what we refuse: %s',
    async (name) => {
      const { chain } = await ca.hostile(name);
      await file(`${name}.pem`, chain);
      const outcome = await verify('sslclient', `${name}.pem`);
      expect(outcome.code).toBe(1);
      expect(outcome.text).toMatch(OPENSSL_SAYS[name]!);
    },
  );
});

describe('openssl x509 -text', () => {
  const text = async (name: string): Promise<string> =>
    (await openssl('x509', '-in', name, '-noout', '-text', '-nameopt', 'RFC2253')).text.replace(/\s+/g, ' ');

  it('shows a device certificate', async () => {
    const shown = await text('device.pem');
    expect(shown).toContain('Version: 3 (0x2)');
    expect(shown).toContain('Signature Algorithm: ecdsa-with-SHA256');
    expect(shown).toContain('Subject: CN=Palyra Device 01K9ZAYT3M4V5W6X7Y8Z9ABCDE,O=Palyra');
    expect(shown).toContain('X509v3 Basic Constraints: critical CA:FALSE');
    expect(shown).toContain('X509v3 Key Usage: critical Digital Signature X509v3');
    expect(shown).toContain('X509v3 Extended Key Usage: TLS Web Client Authentication X509v3');
    expect(shown).toMatch(
      /Subject Alternative Name: URI:spiffe:\/\/edge\.example\/device\/01K9ZAYT3M4V5W6X7Y8Z9ABCDE Signature/,
    );
    expect(shown).not.toContain('CRL Distribution Points');
    expect(shown).not.toContain('Authority Information Access');
  });

  it('shows the control plane', async () => {
    const shown = await text('server.pem');
    expect(shown).toContain('Subject: CN=Palyra Control Plane,O=Palyra');
    expect(shown).toContain('X509v3 Extended Key Usage: TLS Web Server Authentication X509v3');
    expect(shown).toContain(
      'URI:spiffe://edge.example/control-plane, DNS:control-plane.edge.example, DNS:localhost, ' +
        'IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:cp.example, IP Address:192.0.2.7, ' +
        'IP Address:2001:DB8:0:0:0:0:0:7 Signature',
    );
  });

  it('shows the root', async () => {
    const shown = await text('root.pem');
    expect(shown).toContain('X509v3 Basic Constraints: critical CA:TRUE, pathlen:1');
    expect(shown).toContain('X509v3 Key Usage: critical Certificate Sign, CRL Sign');
    const [, key = ''] = /Subject Key Identifier: ([0-9A-F:]+)/.exec(shown) ?? [];
    expect(key.replaceAll(':', '').toLowerCase()).toBe(ca.authority.keyId);
  });
});

describe('requests that openssl makes', () => {
  const request = async (...key: string[]): Promise<Buffer> => {
    await openssl(
      'req',
      '-new',
      '-nodes',
      ...key,
      '-keyout',
      'req.key',
      '-subj',
      '/CN=x',
      '-outform',
      'DER',
      '-out',
      'req.der',
    );
    return readFile(join(directory, 'req.der'));
  };

  it.each([
    ['p256', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-sha256']],
    ['ed25519', ['-newkey', 'ed25519']],
  ])('are taken: %s', async (algorithm, key) => {
    expect(verifyCsr(await request(...key)).algorithm).toBe(algorithm);
  });

  it.each([
    ['UNSUPPORTED_KEY', ['-newkey', 'rsa:2048']],
    ['UNSUPPORTED_KEY', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384']],
    [
      'UNSUPPORTED_KEY',
      ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-pkeyopt', 'ec_param_enc:explicit'],
    ],
    ['UNSUPPORTED_SIGNATURE', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-sha512']],
  ])('are refused with %s: %j', async (reason, key) => {
    const der = await request(...key);
    expect(() => verifyCsr(der)).toThrow(expect.objectContaining({ reason }));
  });
});
