import 'reflect-metadata';
import type { KeyObject, webcrypto as WebCrypto } from 'node:crypto';
import { Crypto } from '@peculiar/webcrypto';
import * as x509 from '@peculiar/x509';
import { parseCertificate } from '../../src/ca/certificate-parser.js';
import type { CertificateProfile } from '../../src/ca/profiles.js';
import type { CertificateTemplate } from '../../src/ca/template.js';

/** What another library writes, and reads, of the same template: the oracle for our own writer. */

const webcrypto = new Crypto() as unknown as WebCrypto.Crypto;
x509.cryptoProvider.set(webcrypto);
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export interface OracleIssuer {
  /** Name, DER. */
  readonly name: Buffer;
  readonly keyIdentifier: Buffer;
  readonly privateKey: KeyObject;
}

const USAGE = {
  digitalSignature: x509.KeyUsageFlags.digitalSignature,
  keyCertSign: x509.KeyUsageFlags.keyCertSign,
  cRLSign: x509.KeyUsageFlags.cRLSign,
} as const;
const PURPOSE = {
  serverAuth: x509.ExtendedKeyUsage.serverAuth,
  clientAuth: x509.ExtendedKeyUsage.clientAuth,
} as const;
const NAME = { uri: 'url', dns: 'dns', ip: 'ip' } as const;

/** TBSCertificate, DER. Names, dates, key, extensions and their order are the library's own making. */
export async function oracleTbs(
  template: CertificateTemplate,
  subjectKeyIdentifier: Buffer,
  issuer: OracleIssuer,
): Promise<Buffer> {
  const pkcs8 = issuer.privateKey.export({ format: 'der', type: 'pkcs8' });
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: template.serial.toString('hex'),
      issuer: new x509.Name(issuer.name),
      subject: new x509.Name(
        template.profile.subject.map(({ type, value }) => ({ [type]: [{ utf8String: value }] })),
      ),
      notBefore: new Date(template.notBefore),
      notAfter: new Date(template.notAfter),
      publicKey: template.spki,
      signingKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, ECDSA, false, ['sign']),
      signingAlgorithm: ECDSA,
      extensions: oracleExtensions(template.profile, subjectKeyIdentifier, issuer.keyIdentifier),
    },
    webcrypto,
  );
  return parseCertificate(Buffer.from(certificate.rawData)).tbs;
}

function oracleExtensions(
  profile: CertificateProfile,
  subjectKey: Buffer,
  issuerKey: Buffer,
): x509.Extension[] {
  const [firstUsage = 'digitalSignature', ...otherUsages] = profile.keyUsage;
  let usages: x509.KeyUsageFlags = USAGE[firstUsage];
  for (const usage of otherUsages) usages |= USAGE[usage];
  const extensions: x509.Extension[] = [
    new x509.BasicConstraintsExtension(profile.ca !== null, profile.ca?.pathLength, true),
    new x509.KeyUsagesExtension(usages, true),
    new x509.AuthorityKeyIdentifierExtension(issuerKey.toString('hex')),
  ];
  if (profile.purposes.length > 0) {
    extensions.push(new x509.ExtendedKeyUsageExtension(profile.purposes.map((purpose) => PURPOSE[purpose])));
  }
  extensions.push(new x509.SubjectKeyIdentifierExtension(subjectKey.toString('hex')));
  if (profile.subjectAltNames.length > 0) {
    const names = profile.subjectAltNames.map(({ type, value }) => ({ type: NAME[type], value }));
    extensions.push(new x509.SubjectAlternativeNameExtension(names));
  }
  return extensions;
}

export interface OracleReading {
  readonly serial: string;
  readonly subject: string;
  readonly issuer: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly spki: string;
  readonly ca: boolean | undefined;
  readonly keyUsages: number | undefined;
  readonly purposes: readonly unknown[] | undefined;
  readonly names: readonly { readonly type: string; readonly value: string }[];
  readonly subjectKeyIdentifier: string | undefined;
  readonly authorityKeyIdentifier: string | undefined;
  readonly critical: readonly string[];
  readonly extensions: number;
  readonly verifies: boolean;
}

/** Everything that the library finds in a certificate. */
export async function oracleReading(der: Buffer, issuer: Buffer): Promise<OracleReading> {
  const certificate = new x509.X509Certificate(der);
  const { serialNumber, subject, notBefore, notAfter, publicKey, extensions } = certificate;
  return {
    serial: serialNumber,
    subject,
    issuer: certificate.issuer,
    notBefore: notBefore.getTime(),
    notAfter: notAfter.getTime(),
    spki: Buffer.from(publicKey.rawData).toString('hex'),
    ca: certificate.getExtension(x509.BasicConstraintsExtension)?.ca,
    keyUsages: certificate.getExtension(x509.KeyUsagesExtension)?.usages,
    purposes: certificate.getExtension(x509.ExtendedKeyUsageExtension)?.usages,
    names: certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON() ?? [],
    subjectKeyIdentifier: certificate.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId,
    authorityKeyIdentifier: certificate.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId,
    critical: extensions.filter(({ critical }) => critical).map(({ type }) => type),
    extensions: extensions.length,
    verifies: await certificate.verify({ publicKey: new x509.X509Certificate(issuer), signatureOnly: true }),
  };
}
