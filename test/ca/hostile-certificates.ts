import 'reflect-metadata';
import { createHash, createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import type { KeyObject, webcrypto as WebCrypto } from 'node:crypto';
import { Crypto } from '@peculiar/webcrypto';
import * as x509 from '@peculiar/x509';
import type { ChainRefusal } from '../../src/ca/chain-verification.js';
import { newDeviceId } from '../../src/identity/device-id.js';
import { systemClock } from '../../src/time/clock.js';
import { newKeyPair } from '../../src/random/key-pair.js';

/** Client certificates that no door may let in, each wrong in one thing; made with a CA's real key where that helps. */

export interface HostileCa {
  /** DER. */
  readonly certificate: Buffer;
  /** PKCS#8 PEM. */
  readonly key: string;
  readonly trustDomain: string;
}

export interface HostileCertificate {
  readonly name: HostileCase;
  /** PEM, leaf first. */
  readonly chain: string;
  /** PKCS#8 PEM. */
  readonly key: string;
  /** DER of `chain`. */
  readonly der: readonly Buffer[];
  /** What `verifyDeviceChain` must answer. */
  readonly reason: ChainRefusal;
}

export interface HostileOptions {
  readonly deviceId?: string;
  /** Unix milliseconds around which the certificate is (or is not) valid. */
  readonly now?: number;
}

type Name = x509.JsonGeneralNames[number];

/** What a case changes on a certificate that would otherwise be let in. */
interface Twist {
  readonly reason: ChainRefusal;
  readonly from?: number;
  readonly until?: number;
  readonly purposes?: readonly string[];
  readonly names?: (context: NameContext) => readonly Name[];
  readonly ca?: boolean;
  readonly keyUsage?: x509.KeyUsageFlags;
  readonly criticalUnknown?: boolean;
  /** Who signs if not our CA: a CA of its name, the leaf's own key, a device's, or our CA's key under another name. */
  readonly signedBy?: 'foreign_ca' | 'itself' | 'device' | 'other_name';
  readonly namesTwice?: boolean;
}

interface NameContext {
  readonly trustDomain: string;
  readonly deviceId: string;
}

const HOUR = 3_600_000;
const CLIENT = x509.ExtendedKeyUsage.clientAuth;
const SERVER = x509.ExtendedKeyUsage.serverAuth;
const ANY_PURPOSE = '2.5.29.37.0';

/** Both of a CA and of a leaf; the library types a set of flags as if it were one of them. */
const CA_USAGE: x509.KeyUsageFlags = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature;

const uri = (value: string): Name => ({ type: 'url', value });
const deviceName = ({ trustDomain, deviceId }: NameContext): Name =>
  uri(`spiffe://${trustDomain}/device/${deviceId}`);

const TWISTS = {
  foreign_ca: { reason: 'untrusted', signedBy: 'foreign_ca' },
  self_signed: { reason: 'untrusted', signedBy: 'itself' },
  other_issuer_name: { reason: 'untrusted', signedBy: 'other_name' },
  signed_by_device: { reason: 'untrusted', signedBy: 'device' },
  expired: { reason: 'expired', from: -2 * HOUR, until: -HOUR },
  not_yet_valid: { reason: 'not_yet_valid', from: HOUR, until: 2 * HOUR },
  server_auth_only: { reason: 'eku', purposes: [SERVER] },
  no_eku: { reason: 'eku', purposes: [] },
  both_ekus: { reason: 'eku', purposes: [CLIENT, SERVER] },
  any_eku: { reason: 'eku', purposes: [ANY_PURPOSE] },
  no_san: { reason: 'san', names: () => [] },
  two_uris: { reason: 'san', names: (context) => [deviceName(context), deviceName(context)] },
  uri_and_dns: {
    reason: 'san',
    names: (context) => [deviceName(context), { type: 'dns', value: 'localhost' }],
  },
  dns_only: { reason: 'san', names: () => [{ type: 'dns', value: 'localhost' }] },
  /** Text that a printer of names would show as the URI of a device. */
  dns_posing_as_uri: {
    reason: 'san',
    names: (context) => [{ type: 'dns', value: `x, URI:${deviceName(context).value}` }],
  },
  control_plane_uri: {
    reason: 'san',
    names: ({ trustDomain }) => [uri(`spiffe://${trustDomain}/control-plane`)],
  },
  operator_uri: {
    reason: 'san',
    names: ({ trustDomain }) => [uri(`spiffe://${trustDomain}/operator/7zk4m9qx`)],
  },
  lower_case_device_id: {
    reason: 'san',
    names: ({ trustDomain, deviceId }) => [uri(`spiffe://${trustDomain}/device/${deviceId.toLowerCase()}`)],
  },
  other_trust_domain: {
    reason: 'trust_domain',
    names: ({ deviceId }) => [uri(`spiffe://other.palyra.internal/device/${deviceId}`)],
  },
  ca_certificate: { reason: 'not_a_leaf', ca: true, keyUsage: CA_USAGE },
  no_digital_signature: { reason: 'not_a_leaf', keyUsage: x509.KeyUsageFlags.keyAgreement },
  two_san_extensions: { reason: 'malformed', namesTwice: true },
  critical_unknown: { reason: 'malformed', criticalUnknown: true },
} as const satisfies Record<string, Twist>;

export type HostileCase = keyof typeof TWISTS;
export const HOSTILE_CASES = Object.keys(TWISTS) as HostileCase[];

/** Typed as Node's own: the package's types are written against the browser's library. */
const webcrypto = new Crypto() as unknown as WebCrypto.Crypto;
x509.cryptoProvider.set(webcrypto);
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** Makes the certificate of one case. The same call makes another key, serial number and certificate each time. */
export async function makeHostileCertificate(
  name: HostileCase,
  ca: HostileCa,
  options: HostileOptions = {},
): Promise<HostileCertificate> {
  const { deviceId = newDeviceId(systemClock, randomBytes), now = Date.now() } = options;
  const twist: Twist = TWISTS[name];
  const key = newKey();
  const issuer = await issuerOf(twist, ca, key, { deviceId, now });
  const names = (twist.names ?? ((context): Name[] => [deviceName(context)]))({
    trustDomain: ca.trustDomain,
    deviceId,
  });
  const leaf = await sign(twist, key, issuer, names, now);
  const der = [leaf, ...issuer.behind].map((certificate) => Buffer.from(certificate.rawData));
  const chain = [leaf, ...issuer.behind].map((certificate) => certificate.toString('pem')).join('\n');
  return { name, chain: `${chain}\n`, key: pkcs8(key), der, reason: twist.reason };
}

/** All of them, for tests that take each in turn. */
export function makeHostileCertificates(
  ca: HostileCa,
  options: HostileOptions = {},
): Promise<HostileCertificate[]> {
  return Promise.all(HOSTILE_CASES.map((name) => makeHostileCertificate(name, ca, options)));
}

interface HostileIssuer {
  readonly key: KeyObject;
  readonly subject: x509.Name;
  readonly keyId: string;
  /** What goes behind the leaf in its chain. */
  readonly behind: readonly x509.X509Certificate[];
}

async function issuerOf(
  twist: Twist,
  ca: HostileCa,
  leafKey: KeyObject,
  context: { deviceId: string; now: number },
): Promise<HostileIssuer> {
  const root = new x509.X509Certificate(ca.certificate);
  const keyId = root.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId ?? '';
  const ours = { key: createPrivateKey(ca.key), subject: root.subjectName, keyId, behind: [] };
  if (twist.signedBy === undefined) return ours;
  if (twist.signedBy === 'other_name') return { ...ours, subject: new x509.Name('O=Palyra, CN=Another CA') };
  // Same name and key identifier as ours: only the signature tells it.
  if (twist.signedBy === 'foreign_ca') return { ...ours, key: newKey() };
  if (twist.signedBy === 'itself') return { ...ours, key: leafKey };
  const device = newKey();
  const names = [deviceName({ trustDomain: ca.trustDomain, deviceId: context.deviceId })];
  const certificate = await sign({ reason: 'untrusted' }, device, ours, names, context.now);
  return { key: device, subject: certificate.subjectName, keyId: keyIdOf(device), behind: [certificate] };
}

async function sign(
  twist: Twist,
  key: KeyObject,
  issuer: HostileIssuer,
  names: readonly Name[],
  now: number,
): Promise<x509.X509Certificate> {
  return x509.X509CertificateGenerator.create(
    {
      serialNumber: `7f${randomBytes(15).toString('hex')}`,
      issuer: issuer.subject,
      subject: `O=Palyra, CN=Hostile ${randomBytes(4).toString('hex')}`,
      notBefore: new Date(now + (twist.from ?? -60_000)),
      notAfter: new Date(now + (twist.until ?? HOUR)),
      publicKey: publicKeyOf(key),
      signingKey: await webcrypto.subtle.importKey('pkcs8', der(issuer.key), ECDSA, false, ['sign']),
      signingAlgorithm: ECDSA,
      extensions: extensionsOf(twist, key, issuer, names),
    },
    webcrypto,
  );
}

function extensionsOf(
  twist: Twist,
  key: KeyObject,
  issuer: HostileIssuer,
  names: readonly Name[],
): x509.Extension[] {
  const { ca = false, purposes = [CLIENT] } = twist;
  const usage = twist.keyUsage ?? x509.KeyUsageFlags.digitalSignature;
  const extensions: x509.Extension[] = [
    new x509.BasicConstraintsExtension(ca, undefined, true),
    new x509.KeyUsagesExtension(usage, true),
    new x509.SubjectKeyIdentifierExtension(keyIdOf(key)),
    new x509.AuthorityKeyIdentifierExtension(issuer.keyId),
  ];
  if (purposes.length > 0) extensions.push(new x509.ExtendedKeyUsageExtension([...purposes]));
  if (names.length > 0) extensions.push(new x509.SubjectAlternativeNameExtension([...names]));
  if (twist.namesTwice) extensions.push(new x509.SubjectAlternativeNameExtension([...names]));
  if (twist.criticalUnknown)
    extensions.push(new x509.Extension('1.3.6.1.4.1.99999.1', true, Buffer.from('0500', 'hex')));
  return extensions;
}

const newKey = (): KeyObject => newKeyPair('p256').privateKey;
const publicKeyOf = (key: KeyObject): Buffer => createPublicKey(key).export({ format: 'der', type: 'spki' });
const keyIdOf = (key: KeyObject): string =>
  createHash('sha256').update(publicKeyOf(key).subarray(-65)).digest('hex').slice(0, 40);
const der = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'pkcs8' });
const pkcs8 = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }).toString();
