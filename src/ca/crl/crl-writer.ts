import {
  encodeContext,
  encodeDer,
  encodeOctets,
  encodeOid,
  encodeSequence,
  encodeTime,
  encodeUnsigned,
} from '../der-writer.js';
import { TAG } from '../der.js';
import { authorityKeyIdentifierExtension } from '../extension-writer.js';
import { SIGNATURE_ALGORITHM } from '../public-key.js';

/** Object identifiers of RFC 5280 §5.2 and §5.3. */
export const CRL_EXTENSION = { crlNumber: '2.5.29.20', reasonCode: '2.5.29.21' } as const;

const OID = {
  crlNumber: encodeOid(CRL_EXTENSION.crlNumber),
  reasonCode: encodeOid(CRL_EXTENSION.reasonCode),
};

/** Version 2 (RFC 5280 §5.1.2.1). */
const VERSION = encodeUnsigned(Buffer.of(1));

/** A certificate that is listed. */
export interface CrlEntry {
  /** Magnitude of the serial number. */
  readonly serial: Buffer;
  /** Unix milliseconds. */
  readonly revokedAt: number;
  /** CRLReason; `undefined` when none is known. */
  readonly reasonCode: number | undefined;
}

/** What stands around the entries. */
export interface CrlFrame {
  /** Name, DER. */
  readonly issuer: Buffer;
  readonly issuerKeyIdentifier: Buffer;
  /** Rises with each list of the issuer (RFC 5280 §5.2.3). */
  readonly number: number;
  /** Unix milliseconds, whole seconds. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
}

/** One element of revokedCertificates, DER. */
export function encodeCrlEntry({ serial, revokedAt, reasonCode }: CrlEntry): Buffer {
  const time = encodeTime(Math.floor(revokedAt / 1000) * 1000);
  if (reasonCode === undefined) return encodeSequence(encodeUnsigned(serial), time);
  const reason = encodeDer(TAG.enumerated, Buffer.of(reasonCode));
  const extension = encodeSequence(OID.reasonCode, encodeOctets(reason));
  return encodeSequence(encodeUnsigned(serial), time, encodeSequence(extension));
}

/** TBSCertList, DER (RFC 5280 §5.1). `entries` are elements one behind the other. Throws RangeError beyond 16 MiB. */
export function encodeTbsCertList(frame: CrlFrame, entries: Buffer): Buffer {
  const number = encodeSequence(OID.crlNumber, encodeOctets(encodeUnsigned(sixBytes(frame.number))));
  return encodeSequence(
    VERSION,
    SIGNATURE_ALGORITHM.p256,
    frame.issuer,
    encodeTime(frame.thisUpdate),
    encodeTime(frame.nextUpdate),
    // §5.1.2.6: without revoked certificates the list is absent, not empty.
    ...(entries.length > 0 ? [encodeSequence(entries)] : []),
    encodeContext(0, encodeSequence(authorityKeyIdentifierExtension(frame.issuerKeyIdentifier), number)),
  );
}

/** Big-endian, below 2^48. */
function sixBytes(number: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(number, 0, 6);
  return bytes;
}
