import { isIPv4 } from 'node:net';
import type { ParsedCertificate } from './certificate-parser.js';
import type { DerElement, DerReader } from './der.js';
import {
  booleanOf,
  contextTag,
  DerError,
  oidOf,
  openSequence,
  readOnly,
  smallIntegerOf,
  TAG,
} from './der.js';

/** The extensions of RFC 5280 §4.2.1 that our certificates have, each read strictly from its DER. */
export const EXTENSION = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  crlDistributionPoints: '2.5.29.31',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
} as const;

/** Bits of KeyUsage (RFC 5280 §4.2.1.3) that are used here, by their place in the BIT STRING. */
export const KEY_USAGE_BIT = { digitalSignature: 0, keyCertSign: 5, cRLSign: 6 } as const;
export type KeyUsage = keyof typeof KEY_USAGE_BIT;

/** Object identifiers of purposes (RFC 5280 §4.2.1.12). */
export const PURPOSE_OID = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' } as const;
export type Purpose = keyof typeof PURPOSE_OID;

/** Access methods (RFC 5280 §4.2.2.1). */
export const ACCESS_METHOD = { caIssuers: '1.3.6.1.5.5.7.48.2' } as const;

export type SubjectAltName =
  | { readonly type: 'uri' | 'dns'; readonly value: string }
  /** IPv4 in dots, or IPv6 as eight groups without abbreviation. */
  | { readonly type: 'ip'; readonly value: string };

export interface BasicConstraints {
  readonly ca: boolean;
  readonly pathLength: number | undefined;
}

/** `undefined` when the certificate has no such extension; so do the others below. All throw {@link DerError}. */
export function readBasicConstraints(certificate: ParsedCertificate): BasicConstraints | undefined {
  const value = certificate.extensions.get(EXTENSION.basicConstraints)?.value;
  if (!value) return undefined;
  const reader = openSequence(value);
  const ca = reader.peek() === TAG.boolean && readTrue(reader);
  const pathLength = reader.done ? undefined : smallIntegerOf(reader.next(TAG.integer));
  reader.end();
  if (pathLength !== undefined && !ca) throw new DerError('a path length without CA');
  return { ca, pathLength };
}

function readTrue(reader: DerReader): true {
  if (!booleanOf(reader.next(TAG.boolean))) throw new DerError('a default value is written out');
  return true;
}

/** Places of the bits that are set, ascending. */
export function readKeyUsageBits(certificate: ParsedCertificate): number[] | undefined {
  const value = certificate.extensions.get(EXTENSION.keyUsage)?.value;
  if (!value) return undefined;
  const bytes = readOnly(value, TAG.bitString).value;
  const [unused] = bytes;
  if (unused === undefined || unused > 7 || bytes.length > 3) throw new DerError('not a key usage');
  const bits: number[] = [];
  for (let bit = 0; bit < (bytes.length - 1) * 8; bit += 1) {
    if ((bytes[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) bits.push(bit);
  }
  return bits;
}

export function hasKeyUsage(certificate: ParsedCertificate, usage: KeyUsage): boolean {
  return readKeyUsageBits(certificate)?.includes(KEY_USAGE_BIT[usage]) ?? false;
}

/** Object identifiers of the purposes, in the order of the certificate; never an empty list. */
export function readPurposes(certificate: ParsedCertificate): string[] | undefined {
  const value = certificate.extensions.get(EXTENSION.extendedKeyUsage)?.value;
  if (!value) return undefined;
  const reader = openSequence(value);
  const purposes: string[] = [];
  do purposes.push(oidOf(reader.next(TAG.oid)));
  while (!reader.done);
  return purposes;
}

/** A name of a kind that our certificates never have: an e-mail address, another directory name and so on. */
export interface OtherName {
  readonly type: 'other';
  readonly tag: number;
}

const URI_TAG = contextTag(6, false);
const DNS_TAG = contextTag(2, false);
const IP_TAG = contextTag(7, false);

/** Read from the bytes: the text that OpenSSL and Node make of these names can be forged by what stands in them. */
export function readSubjectAltNames(
  certificate: ParsedCertificate,
): (SubjectAltName | OtherName)[] | undefined {
  const value = certificate.extensions.get(EXTENSION.subjectAltName)?.value;
  if (!value) return undefined;
  const reader = openSequence(value);
  const names: (SubjectAltName | OtherName)[] = [];
  do {
    const name = reader.next();
    const { tag } = name;
    if (tag === URI_TAG) names.push({ type: 'uri', value: ia5(name) });
    else if (tag === DNS_TAG) names.push({ type: 'dns', value: ia5(name) });
    else if (tag === IP_TAG) names.push({ type: 'ip', value: ipAddressText(name.value) });
    else names.push({ type: 'other', tag });
  } while (!reader.done);
  return names;
}

/** Printable ASCII only: no control character of an IA5String has a place in a name. */
function ia5({ latin1 }: DerElement): string {
  if (!/^[\x20-\x7e]*$/.test(latin1)) throw new DerError('a name with other than printable ASCII');
  return latin1;
}

export function readSubjectKeyIdentifier(certificate: ParsedCertificate): Buffer | undefined {
  const value = certificate.extensions.get(EXTENSION.subjectKeyIdentifier)?.value;
  return value && readOnly(value, TAG.octetString).value;
}

/** The key identifier; `undefined` also when the extension names its issuer in another way. */
export function readAuthorityKeyIdentifier(certificate: ParsedCertificate): Buffer | undefined {
  const value = certificate.extensions.get(EXTENSION.authorityKeyIdentifier)?.value;
  if (!value) return undefined;
  const reader = openSequence(value);
  return reader.peek() === contextTag(0, false) ? reader.next().value : undefined;
}

/** Addresses of the revocation list: one distribution point with a full name of one URI each (RFC 5280 §4.2.1.13). */
export function readCrlDistributionPoints(certificate: ParsedCertificate): string[] | undefined {
  const value = certificate.extensions.get(EXTENSION.crlDistributionPoints)?.value;
  if (!value) return undefined;
  const points = openSequence(value);
  const urls: string[] = [];
  do {
    const point = points.enter();
    const name = point.enter(contextTag(0, true));
    point.end();
    const fullName = name.enter(contextTag(0, true));
    name.end();
    urls.push(ia5(fullName.next(URI_TAG)));
    fullName.end();
  } while (!points.done);
  return urls;
}

export interface AccessDescription {
  /** Object identifier of the method. */
  readonly method: string;
  readonly url: string;
}

/** RFC 5280 §4.2.2.1; URIs only. */
export function readAuthorityInfoAccess(certificate: ParsedCertificate): AccessDescription[] | undefined {
  const value = certificate.extensions.get(EXTENSION.authorityInfoAccess)?.value;
  if (!value) return undefined;
  const reader = openSequence(value);
  const accesses: AccessDescription[] = [];
  do {
    const access = reader.enter();
    accesses.push({ method: oidOf(access.next(TAG.oid)), url: ia5(access.next(URI_TAG)) });
    access.end();
  } while (!reader.done);
  return accesses;
}

/** Text of 4 or 16 address bytes, one spelling each. */
export function ipAddressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new DerError('an address of neither 4 nor 16 bytes');
  const groups: string[] = [];
  for (let offset = 0; offset < 16; offset += 2) groups.push(bytes.readUInt16BE(offset).toString(16));
  return groups.join(':');
}

/** The spelling of {@link ipAddressText} for an address that `net.isIP` accepts. */
export function canonicalIpAddress(address: string): string {
  if (isIPv4(address)) return address;
  // The URL parser knows every spelling of IPv6; what it gives back is abbreviated.
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].join(':');
}
