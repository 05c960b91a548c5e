import { isIPv4 } from 'node:net';
import {
  ACCESS_METHOD,
  EXTENSION,
  KEY_USAGE_BIT,
  PURPOSE_OID,
  type KeyUsage,
  type Purpose,
  type SubjectAltName,
} from './certificate-extensions.js';
import { contextTag, TAG } from './der.js';
import {
  encodeContext,
  encodeDer,
  encodeOctets,
  encodeOid,
  encodeSequence,
  encodeUnsigned,
  TRUE,
} from './der-writer.js';
import type { StatusUrls } from './status-urls.js';

/** The extensions of RFC 5280 §4.2.1 that our certificates have, DER. What is read back: `certificate-extensions.ts`. */

const OID = {
  subjectKeyIdentifier: encodeOid(EXTENSION.subjectKeyIdentifier),
  keyUsage: encodeOid(EXTENSION.keyUsage),
  subjectAltName: encodeOid(EXTENSION.subjectAltName),
  basicConstraints: encodeOid(EXTENSION.basicConstraints),
  authorityKeyIdentifier: encodeOid(EXTENSION.authorityKeyIdentifier),
  extendedKeyUsage: encodeOid(EXTENSION.extendedKeyUsage),
  crlDistributionPoints: encodeOid(EXTENSION.crlDistributionPoints),
  authorityInfoAccess: encodeOid(EXTENSION.authorityInfoAccess),
  caIssuers: encodeOid(ACCESS_METHOD.caIssuers),
};

const extension = (oid: Buffer, value: Buffer): Buffer => encodeSequence(oid, encodeOctets(value));
const criticalExtension = (oid: Buffer, value: Buffer): Buffer =>
  encodeSequence(oid, TRUE, encodeOctets(value));

/** Critical (RFC 5280 §4.2.1.9). `null`: not a CA. */
export function basicConstraintsExtension(ca: { readonly pathLength: number } | null): Buffer {
  const value = ca ? encodeSequence(TRUE, encodeUnsigned(Buffer.of(ca.pathLength))) : encodeSequence();
  return criticalExtension(OID.basicConstraints, value);
}

/** Critical (RFC 5280 §4.2.1.3): a BIT STRING of one byte, without the zero bits at its end (X.690 §11.2.2). */
export function keyUsageExtension(usages: readonly KeyUsage[]): Buffer {
  let bits = 0;
  for (const usage of usages) bits |= 0x80 >> KEY_USAGE_BIT[usage];
  if (bits === 0) throw new RangeError('a key usage names at least one use');
  const unused = 31 - Math.clz32(bits & -bits);
  return criticalExtension(OID.keyUsage, encodeDer(TAG.bitString, Buffer.of(unused, bits)));
}

export function authorityKeyIdentifierExtension(keyIdentifier: Buffer): Buffer {
  const value = encodeSequence(encodeDer(contextTag(0, false), keyIdentifier));
  return extension(OID.authorityKeyIdentifier, value);
}

export const subjectKeyIdentifierExtension = (keyIdentifier: Buffer): Buffer =>
  extension(OID.subjectKeyIdentifier, encodeOctets(keyIdentifier));

export function extendedKeyUsageExtension(purposes: readonly Purpose[]): Buffer {
  const oids = purposes.map((purpose) => encodeOid(PURPOSE_OID[purpose]));
  return extension(OID.extendedKeyUsage, encodeSequence(...oids));
}

/** RFC 5280 §4.2.1.13: one distribution point, its full name one URI. Not critical. */
export function crlDistributionPointsExtension({ crl }: StatusUrls): Buffer {
  const fullName = encodeContext(0, encodeDer(URI_TAG, ia5Bytes(crl)));
  return extension(OID.crlDistributionPoints, encodeSequence(encodeSequence(encodeContext(0, fullName))));
}

/** RFC 5280 §4.2.2.1: where the issuer's certificate is. Not critical. */
export function authorityInfoAccessExtension({ issuer }: StatusUrls): Buffer {
  const caIssuers = encodeSequence(OID.caIssuers, encodeDer(URI_TAG, ia5Bytes(issuer)));
  return extension(OID.authorityInfoAccess, encodeSequence(caIssuers));
}

/** RFC 5280 §4.2.1.6. Throws RangeError for text that has no place in a name. */
export const subjectAltNameExtension = (names: readonly SubjectAltName[]): Buffer =>
  extension(OID.subjectAltName, encodeSequence(...names.map(encodeSubjectAltName)));

const URI_TAG = contextTag(6, false);
const DNS_TAG = contextTag(2, false);
const IP_TAG = contextTag(7, false);

function encodeSubjectAltName({ type, value }: SubjectAltName): Buffer {
  if (type === 'ip') return encodeDer(IP_TAG, addressBytes(value));
  return encodeDer(type === 'uri' ? URI_TAG : DNS_TAG, ia5Bytes(value));
}

function ia5Bytes(text: string): Buffer {
  if (!/^[\x21-\x7e]+$/.test(text)) throw new RangeError('a name of other than visible ASCII');
  return Buffer.from(text, 'latin1');
}

/** 4 or 16 bytes, of the one spelling that `ipAddressText` has. */
function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const groups = address.split(':');
  if (groups.length !== 8 || !groups.every((group) => /^[0-9a-f]{1,4}$/.test(group))) {
    throw new RangeError('an address is written in dots or as eight groups');
  }
  const bytes = Buffer.alloc(16);
  groups.forEach((group, index) => bytes.writeUInt16BE(parseInt(group, 16), index * 2));
  return bytes;
}
