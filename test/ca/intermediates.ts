import 'reflect-metadata';
import { createPrivateKey, randomBytes, type webcrypto as WebCrypto } from 'node:crypto';
import { Crypto } from '@peculiar/webcrypto';
import * as x509 from '@peculiar/x509';
import type { TestCa } from './test-ca.js';

const webcrypto = new Crypto() as unknown as WebCrypto.Crypto;
x509.cryptoProvider.set(webcrypto);
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export interface IntermediateFlaws {
  readonly ca?: boolean;
  readonly keyCertSign?: boolean;
  readonly lifetimeMs?: number;
  readonly criticalUnknown?: boolean;
}

/** The root of `below`, certified by `above`: a cross-certificate as rotation will make it. DER. */
export async function makeIntermediate(
  above: TestCa,
  below: TestCa,
  flaws: IntermediateFlaws = {},
): Promise<Buffer> {
  const { ca = true, keyCertSign = true, lifetimeMs = 3_600_000, criticalUnknown = false } = flaws;
  const [issuer, subject] = [above, below].map(
    ({ authority }) => new x509.X509Certificate(authority.signingRoot),
  );
  const usage = keyCertSign ? x509.KeyUsageFlags.keyCertSign : x509.KeyUsageFlags.cRLSign;
  const extensions: x509.Extension[] = [
    new x509.BasicConstraintsExtension(ca, undefined, true),
    new x509.KeyUsagesExtension(usage, true),
    new x509.SubjectKeyIdentifierExtension(below.authority.keyId),
    new x509.AuthorityKeyIdentifierExtension(above.authority.keyId),
  ];
  if (criticalUnknown)
    extensions.push(new x509.Extension('1.3.6.1.4.1.99999.1', true, Buffer.from('0500', 'hex')));
  const key = createPrivateKey(above.rootKey).export({ format: 'der', type: 'pkcs8' });
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: `7f${randomBytes(15).toString('hex')}`,
      issuer: issuer!.subjectName,
      subject: subject!.subjectName,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + lifetimeMs),
      publicKey: subject!.publicKey,
      signingKey: await webcrypto.subtle.importKey('pkcs8', key, ECDSA, false, ['sign']),
      signingAlgorithm: ECDSA,
      extensions,
    },
    webcrypto,
  );
  return Buffer.from(certificate.rawData);
}
