import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { QuicRuntimeTlsMaterial } from '../../src/ca/trust-bundle.js';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

/** A root for tests that issues server and client certificates. */
export class TestRoot {
  private constructor(
    private readonly keys: webcrypto.CryptoKeyPair,
    private readonly certificate: x509.X509Certificate,
  ) {}

  static async create(name: string): Promise<TestRoot> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: `CN=${name}`,
      keys,
      signingAlgorithm: ALGORITHM,
      ...validity(),
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    });
    return new TestRoot(keys, certificate);
  }

  get pem(): string {
    return this.certificate.toString('pem');
  }

  /** What a TLS door serves with, for `localhost` and 127.0.0.1. */
  async server(name: string): Promise<QuicRuntimeTlsMaterial> {
    const leaf = await this.issue(name, SERVER_AUTH);
    return {
      chain: `${leaf.certificate}\n${this.pem}\n`,
      key: leaf.key,
      bundle: this.pem,
      expiresAt: Date.now() + 3_600_000,
    };
  }

  client(name: string): Promise<{ certificate: string; key: string }> {
    return this.issue(name, CLIENT_AUTH);
  }

  private async issue(name: string, usage: string): Promise<{ certificate: string; key: string }> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: `01${randomBytes(8).toString('hex')}`,
      subject: `CN=${name}`,
      issuer: this.certificate.subject,
      publicKey: keys.publicKey,
      signingKey: this.keys.privateKey,
      signingAlgorithm: ALGORITHM,
      ...validity(),
      extensions: [
        new x509.ExtendedKeyUsageExtension([usage]),
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: 'localhost' },
          { type: 'ip', value: '127.0.0.1' },
        ]),
      ],
    });
    const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
    return { certificate: certificate.toString('pem'), key: x509.PemConverter.encode(key, 'PRIVATE KEY') };
  }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

function validity(): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
}
