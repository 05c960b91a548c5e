import { DomainError } from '../../errors/domain-error.js';
import type { Issuer } from '../issuer.js';
import { verifyOnPool } from '../pool-verification.js';
import { SIGNATURE_ALGORITHM } from '../public-key.js';
import { parseCrl, readCrlEntries } from './crl-parser.js';
import { encodeCrlEntry, encodeTbsCertList, type CrlEntry, type CrlFrame } from './crl-writer.js';

/** Encodes entries and reads them back. Throws `internal` CRL_CHECK. */
export function checkedEntries(entries: readonly CrlEntry[]): Buffer {
  const encoded = Buffer.concat(entries.map(encodeCrlEntry));
  try {
    const read = readCrlEntries(encoded);
    const same =
      read.length === entries.length && entries.every((entry, index) => isEntry(entry, read[index]));
    if (!same) throw new Error('other entries');
  } catch (cause) {
    throw failed(cause);
  }
  return encoded;
}

function isEntry({ serial, revokedAt, reasonCode }: CrlEntry, read: CrlEntry | undefined): boolean {
  if (!read?.serial.equals(serial) || read.reasonCode !== reasonCode) return false;
  return read.revokedAt === Math.floor(revokedAt / 1000) * 1000;
}

/** DER of a list of 16 MiB; from there on the writer refuses. About 400 000 certificates. */
const LARGEST_LIST = 0x1000000 - 1024;

/**
 * Signs the list of `entries` (of {@link checkedEntries}) and holds what came out against what was decided, with the strict
 * reader. Hashes on libuv's pool. Throws `internal` CRL_CHECK, `exhausted` CRL_TOO_LARGE.
 */
export async function signCrl(
  issuer: Issuer,
  update: Pick<CrlFrame, 'number' | 'thisUpdate' | 'nextUpdate'>,
  entries: Buffer,
): Promise<Buffer> {
  if (entries.length > LARGEST_LIST) {
    throw new DomainError(
      'exhausted',
      'CRL_TOO_LARGE',
      'more certificates are revoked and unexpired than a revocation list of 16 MiB holds; issue shorter ones',
    );
  }
  const frame: CrlFrame = { ...update, issuer: issuer.name, issuerKeyIdentifier: issuer.keyIdentifier };
  const der = await issuer.signingKey.signList(encodeTbsCertList(frame, entries));
  const wrong = await wrongOutput(der, frame, entries, issuer);
  if (wrong !== undefined) throw failed(wrong);
  return der;
}

async function wrongOutput(
  der: Buffer,
  frame: CrlFrame,
  entries: Buffer,
  issuer: Issuer,
): Promise<string | undefined> {
  try {
    const crl = parseCrl(der);
    if (!crl.issuer.equals(frame.issuer)) return 'issuer';
    if (!crl.issuerKeyIdentifier.equals(frame.issuerKeyIdentifier)) return 'authorityKeyIdentifier';
    if (crl.number !== frame.number) return 'number';
    if (crl.thisUpdate !== frame.thisUpdate || crl.nextUpdate !== frame.nextUpdate) return 'times';
    if (!crl.entries.equals(entries)) return 'entries';
    if (!crl.signatureAlgorithm.equals(SIGNATURE_ALGORITHM.p256)) return 'signature algorithm';
    if (!(await verifyOnPool('sha256', crl.tbs, issuer.publicKey, crl.signature))) return 'signature';
    return undefined;
  } catch (cause) {
    throw failed(cause);
  }
}

function failed(cause: unknown): DomainError {
  return new DomainError(
    'internal',
    'CRL_CHECK',
    'the revocation list did not pass its own check; the one before stays',
    { cause },
  );
}
