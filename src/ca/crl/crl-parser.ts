import { EXTENSION } from '../certificate-extensions.js';
import { contextTag, DerError, DerReader, oidOf, openSequence, readOnly } from '../der.js';
import { smallIntegerOf, TAG, timeOf, unsignedOf, wholeBitsOf } from '../der.js';
import { CRL_EXTENSION, type CrlEntry, type CrlFrame } from './crl-writer.js';

/** A revocation list of our own making, taken apart. Nothing in it is verified. */
export interface ParsedCrl extends CrlFrame {
  /** TBSCertList: what is signed. */
  readonly tbs: Buffer;
  /** The elements of revokedCertificates one behind the other. */
  readonly entries: Buffer;
  /** AlgorithmIdentifier, DER; the same inside and outside of what is signed. */
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
}

const VERSION_2 = 1;
const EXTENSIONS = contextTag(0, true);

/** Throws {@link DerError} when `der` is not exactly one CRL as we write them, in strict DER (RFC 5280 §5.1). */
export function parseCrl(der: Buffer): ParsedCrl {
  const list = openSequence(der);
  const tbs = list.next(TAG.sequence);
  const signatureAlgorithm = list.next(TAG.sequence).raw;
  const signature = wholeBitsOf(list.next(TAG.bitString));
  list.end();

  const body = new DerReader(tbs.value);
  if (smallIntegerOf(body.next(TAG.integer)) !== VERSION_2) throw new DerError('not version 2');
  if (!body.next(TAG.sequence).raw.equals(signatureAlgorithm)) throw new DerError('two signature algorithms');
  const issuer = body.next(TAG.sequence).raw;
  const thisUpdate = timeOf(body.next());
  const nextUpdate = timeOf(body.next());
  const entries = body.peek() === EXTENSIONS ? Buffer.alloc(0) : listed(body.next(TAG.sequence).value);
  const extensions = readExtensions(body.enter(EXTENSIONS).enter());
  body.end();
  return {
    tbs: tbs.raw,
    issuer,
    thisUpdate,
    nextUpdate,
    entries,
    ...extensions,
    signatureAlgorithm,
    signature,
  };
}

function listed(entries: Buffer): Buffer {
  if (entries.length === 0) throw new DerError('an empty list is left out');
  return entries;
}

function readExtensions(list: DerReader): Pick<CrlFrame, 'issuerKeyIdentifier' | 'number'> {
  const identifier = openSequence(readExtension(list, EXTENSION.authorityKeyIdentifier));
  const issuerKeyIdentifier = identifier.next(contextTag(0, false)).value;
  identifier.end();
  const magnitude = unsignedOf(readOnly(readExtension(list, CRL_EXTENSION.crlNumber), TAG.integer));
  if (magnitude.length > 6) throw new DerError('the CRL number is too large');
  list.end();
  return { issuerKeyIdentifier, number: magnitude.readUIntBE(0, magnitude.length) };
}

/** The value of the next extension, which is this one and not critical. */
function readExtension(list: DerReader, oid: string): Buffer {
  const extension = list.enter();
  if (oidOf(extension.next(TAG.oid)) !== oid) throw new DerError(`the extension ${oid} is not in its place`);
  const { value } = extension.next(TAG.octetString);
  extension.end();
  return value;
}

/** The elements of revokedCertificates. Throws {@link DerError}. */
export function readCrlEntries(entries: Buffer): CrlEntry[] {
  const reader = new DerReader(entries);
  const read: CrlEntry[] = [];
  while (!reader.done) read.push(readEntry(reader.enter()));
  return read;
}

function readEntry(entry: DerReader): CrlEntry {
  const serial = unsignedOf(entry.next(TAG.integer));
  const revokedAt = timeOf(entry.next());
  const reasonCode = entry.done ? undefined : readReason(entry.enter());
  entry.end();
  return { serial, revokedAt, reasonCode };
}

function readReason(extensions: DerReader): number {
  const value = readExtension(extensions, CRL_EXTENSION.reasonCode);
  extensions.end();
  const [code, ...others] = readOnly(value, TAG.enumerated).value;
  if (code === undefined || others.length > 0) throw new DerError('not a reason');
  return code;
}
