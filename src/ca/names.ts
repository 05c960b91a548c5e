import { DerError, DerReader, oidOf, TAG } from './der.js';
import { encodeDer, encodeOid, encodeSequence, encodeUtf8 } from './der-writer.js';

/** One attribute of a distinguished name; each relative name has exactly one. */
export interface NameAttribute {
  readonly type: 'O' | 'CN';
  readonly value: string;
}

/** In the order of the certificate: most significant first. */
export type DistinguishedName = readonly NameAttribute[];

const ATTRIBUTE_OID: Readonly<Record<string, NameAttribute['type']>> = { '2.5.4.10': 'O', '2.5.4.3': 'CN' };

/** Reads a Name of our own making: O and CN, UTF-8, one attribute per relative name. Throws {@link DerError} on others. */
export function readDistinguishedName(name: Buffer): DistinguishedName {
  const relativeNames = new DerReader(name).enter();
  const attributes: NameAttribute[] = [];
  while (!relativeNames.done) attributes.push(readRelativeName(relativeNames.enter(TAG.set)));
  return attributes;
}

function readRelativeName(set: DerReader): NameAttribute {
  const attribute = set.enter();
  set.end();
  const type = ATTRIBUTE_OID[oidOf(attribute.next(TAG.oid))];
  const value = attribute.next(TAG.utf8String).value.toString('utf8');
  attribute.end();
  if (type === undefined) throw new DerError('an attribute that we do not write');
  return { type, value };
}

const ENCODED_OID: Readonly<Record<NameAttribute['type'], Buffer>> = {
  O: encodeOid('2.5.4.10'),
  CN: encodeOid('2.5.4.3'),
};

/** Name, DER: one attribute per relative name, UTF-8 (RFC 5280 §4.1.2.4). */
export function encodeDistinguishedName(name: DistinguishedName): Buffer {
  return encodeSequence(...name.map(encodeRelativeName));
}

/** The last organization and its DER: it is the same in nearly all names. */
let lastOrganization: { readonly value: string; readonly der: Buffer } | undefined;

function encodeRelativeName({ type, value }: NameAttribute): Buffer {
  if (type === 'O' && value === lastOrganization?.value) return lastOrganization.der;
  const der = encodeDer(TAG.set, encodeSequence(ENCODED_OID[type], encodeUtf8(value)));
  if (type === 'O') lastOrganization = { value, der };
  return der;
}

const SPECIAL = /[",+;<>\\#=]|^ | $/g;

/** RFC 4514 text: least significant first, special characters escaped. */
export function distinguishedNameText(name: DistinguishedName): string {
  const parts = name.map(({ type, value }) => `${type}=${value.replace(SPECIAL, '\\$&')}`);
  return parts.reverse().join(',');
}
