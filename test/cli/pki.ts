import 'reflect-metadata';
import { createHash, webcrypto, X509Certificate as NodeCertificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto);

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A certificate of a made-up cluster, with the key that it certifies. */
export interface Issued {
  readonly certificate: x509.X509Certificate;
  readonly der: Buffer;
  readonly pem: string;
  /** PKCS#8 PEM. */
  readonly keyPem: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

export interface LeafNames {
  readonly uri?: string;
  readonly dns?: readonly string[];
  /** OIDs; serverAuth unless said otherwise. */
  readonly usages?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Certify this key instead of a new one. */
  readonly publicKey?: webcrypto.CryptoKey;
}

export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const HOUR_MS = 3_600_000;

export async function makeRoot(name: string): Promise<Issued> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: P256,
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + 24 * HOUR_MS),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return issued(certificate, keys);
}

export async function issueLeaf(root: Issued, names: LeafNames): Promise<Issued> {
  const keys = await newKeys();
  const sans: x509.JsonGeneralName[] = [];
  if (names.uri !== undefined) sans.push({ type: 'url', value: names.uri });
  for (const value of names.dns ?? []) sans.push({ type: 'dns', value });
  const certificate = await x509.X509CertificateGenerator.create({
    subject: 'CN=leaf',
    issuer: root.certificate.subject,
    publicKey: names.publicKey ?? keys.publicKey,
    signingKey: root.keys.privateKey,
    signingAlgorithm: P256,
    notBefore: names.notBefore ?? new Date(Date.now() - HOUR_MS),
    notAfter: names.notAfter ?? new Date(Date.now() + HOUR_MS),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.ExtendedKeyUsageExtension([...(names.usages ?? [SERVER_AUTH])]),
      new x509.SubjectAlternativeNameExtension(sans),
    ],
  });
  return issued(certificate, keys);
}

export const controlPlaneLeaf = async (root: Issued, trustDomain: string): Promise<Issued> =>
  issueLeaf(root, {
    uri: `spiffe://${trustDomain}/control-plane`,
    dns: [`control-plane.${trustDomain}`, 'localhost'],
  });

/** SHA-256 of the SubjectPublicKeyInfo. */
export function spkiHash(certificate: Issued): Buffer {
  const spki = new NodeCertificate(certificate.der).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest();
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
}

async function issued(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair): Promise<Issued> {
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    certificate,
    der: Buffer.from(certificate.rawData),
    pem: `${certificate.toString('pem')}\n`,
    keyPem: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
    keys,
  };
}
