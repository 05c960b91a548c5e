import type { DerReader } from './der.js';
import { contextTag, DerError, openSequence, oidOf, booleanOf, smallIntegerOf } from './der.js';
import { TAG, timeOf, unsignedOf, wholeBitsOf } from './der.js';

export interface ParsedExtension {
  readonly critical: boolean;
  /** What the OCTET STRING holds. */
  readonly value: Buffer;
}

/** An X.509 v3 certificate taken apart (RFC 5280 §4.1). Nothing in it is verified. */
export interface ParsedCertificate {
  readonly der: Buffer;
  /** TBSCertificate: what is signed. */
  readonly tbs: Buffer;
  /** Magnitude of the serial number, without leading zero byte. */
  readonly serial: Buffer;
  /** Name, DER; names are compared byte by byte. */
  readonly issuer: Buffer;
  readonly subject: Buffer;
  /** Unix milliseconds; both ends belong to the validity. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;
  /** By dotted object identifier. */
  readonly extensions: ReadonlyMap<string, ParsedExtension>;
  /** AlgorithmIdentifier, DER; the same inside and outside of what is signed. */
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
}

const VERSION_3 = 2;

/** Throws {@link DerError} when `der` is not exactly one certificate in strict DER. */
export function parseCertificate(der: Buffer): ParsedCertificate {
  const certificate = openSequence(der);
  const tbs = certificate.next(TAG.sequence);
  const signatureAlgorithm = certificate.next(TAG.sequence).raw;
  const signature = wholeBitsOf(certificate.next(TAG.bitString));
  certificate.end();

  const body = tbs.open();
  readVersion(body);
  const serial = unsignedOf(body.next(TAG.integer));
  // RFC 5280 §4.1.1.2: the algorithm outside, which nobody signed, must be the one inside.
  if (!body.next(TAG.sequence).raw.equals(signatureAlgorithm)) throw new DerError('two signature algorithms');
  const issuer = body.next(TAG.sequence).raw;
  const validity = body.enter();
  const notBefore = timeOf(validity.next());
  const notAfter = timeOf(validity.next());
  validity.end();
  const subject = body.next(TAG.sequence).raw;
  const spki = body.next(TAG.sequence).raw;
  const extensions = readExtensions(body);
  body.end();
  return {
    der,
    tbs: tbs.raw,
    serial,
    issuer,
    subject,
    notBefore,
    notAfter,
    spki,
    extensions,
    signatureAlgorithm,
    signature,
  };
}

function readVersion(body: DerReader): void {
  const version = body.enter(contextTag(0, true));
  if (smallIntegerOf(version.next(TAG.integer)) !== VERSION_3) throw new DerError('not version 3');
  version.end();
}

/** RFC 5280 §4.2: at least one extension, and none twice. */
function readExtensions(body: DerReader): Map<string, ParsedExtension> {
  const wrapper = body.enter(contextTag(3, true));
  const list = wrapper.enter();
  wrapper.end();
  const extensions = new Map<string, ParsedExtension>();
  do {
    const extension = list.enter();
    const oid = oidOf(extension.next(TAG.oid));
    if (extensions.has(oid)) throw new DerError(`the extension ${oid} stands there twice`);
    extensions.set(oid, { critical: readCritical(extension), value: extension.next(TAG.octetString).value });
    extension.end();
  } while (!list.done);
  return extensions;
}

function readCritical(extension: DerReader): boolean {
  if (extension.peek() !== TAG.boolean) return false;
  // X.690 §11.5: a default value is left out.
  if (!booleanOf(extension.next(TAG.boolean))) throw new DerError('a default value is written out');
  return true;
}
