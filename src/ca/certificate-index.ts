import { createHash } from 'node:crypto';
import { ColumnLookUp, RowInsert } from '../database/row-statements.js';
import type { Unit } from '../database/unit-of-work.js';
import { DomainError } from '../errors/domain-error.js';
import { CertificateRow } from './certificate.entity.js';
import type { IssuedCertificate, SignedCertificate } from './issued-certificate.js';
import { parseCertificate } from './certificate-parser.js';
import { RevocationRow } from './crl/revocation.entity.js';
import { decodeCertificates } from './pem.js';
import type { ProfileKind } from './profiles.js';
import { spkiHash } from './public-key.js';
import { REVOCATION_REASON_CODE, type RevocationReason } from './revocation-reason.js';

/**
 * Enters a certificate into the index and numbers it, in the unit of work of the decision that issued it. Only what
 * comes out of here may be let out, after the unit has committed.
 */
export async function recordIssued(unit: Unit, signed: SignedCertificate): Promise<IssuedCertificate> {
  const sequence = await insertCertificate.run(unit.tables, { ...signed, revokedAt: null });
  return { ...signed, sequence };
}

const insertCertificate = new RowInsert(CertificateRow, 'sequence');
const sequenceByFingerprint = new ColumnLookUp(CertificateRow, 'fingerprint', 'sequence');
const subjectByKeyHash = new ColumnLookUp(CertificateRow, 'keyHash', 'subjectId');

/** Whether a certificate with this SHA-256 of its DER stands in the index. */
export async function isIssued(
  view: { readonly tables: Unit['tables'] },
  fingerprint: string,
): Promise<boolean> {
  const found = await sequenceByFingerprint.find(view.tables, fingerprint);
  return found.length > 0;
}

/**
 * Reads a certificate of the index by the SHA-256 of its DER; `undefined` when none was issued. Throws `corrupt` when the
 * row holds another certificate than it is indexed under.
 */
export async function findIssued(
  view: { readonly tables: Unit['tables'] },
  fingerprint: string,
): Promise<IssuedCertificate | undefined> {
  const row = await view.tables.findOneBy(CertificateRow, { fingerprint });
  if (row === null) return undefined;
  const issued = fromRow(row);
  if (createHash('sha256').update(issued.der).digest('hex') === fingerprint) return issued;
  throw new DomainError(
    'corrupt',
    'CERTIFICATE_ROW',
    `the certificate ${fingerprint} in the index is another one; restore the store from a backup`,
  );
}

/** Whom certificates for this key were issued to (`device/<ULID>`, …), as the index says it; each subject once. */
export async function subjectsOfKey(
  view: { readonly tables: Unit['tables'] },
  keyHash: string,
): Promise<string[]> {
  return [...new Set(await subjectByKeyHash.find<string>(view.tables, keyHash))];
}

export interface RevocationMark {
  /** Unix milliseconds. */
  readonly at: number;
  /** Goes into the CRL. */
  readonly reason?: RevocationReason;
  /** Fingerprint of the certificate that takes the place of the others. */
  readonly except?: string;
}

/** Marks the subject's unexpired certificates as revoked, for lists and CRLs; admission does not look here. */
export async function markRevoked(
  unit: Unit,
  subjectId: string,
  { at, reason, except = '' }: RevocationMark,
): Promise<void> {
  const rows = await unit.tables
    .createQueryBuilder(CertificateRow, 'certificate')
    .where('certificate.subjectId = :subjectId', { subjectId })
    .andWhere('certificate.revokedAt IS NULL AND certificate.expiresAt >= :at', { at })
    .andWhere('certificate.fingerprint <> :except', { except })
    .orderBy('certificate.sequence')
    .getMany();
  const reasonCode = reason === undefined ? null : REVOCATION_REASON_CODE[reason];
  for (const { sequence, issuerKeyId, serial, expiresAt } of rows) {
    await unit.tables.update(CertificateRow, { sequence }, { revokedAt: at });
    const listed = { issuerKeyId, serial, revokedAt: at, expiresAt, reasonCode };
    await unit.tables.insert(RevocationRow, { certificateSequence: sequence, ...listed });
  }
}

function fromRow(row: CertificateRow): IssuedCertificate {
  const { sequence, fingerprint, serial, issuerKeyId, subjectId, subject, issuedAt, expiresAt, pem } = row;
  const [der = Buffer.alloc(0)] = decodeCertificates(pem);
  const profile = row.profile as ProfileKind;
  return {
    sequence,
    fingerprint,
    keyHash: row.keyHash ?? spkiHash(parseCertificate(der).spki),
    serial,
    issuerKeyId,
    profile,
    subjectId,
    subject,
    issuedAt,
    expiresAt,
    pem,
    der,
  };
}

/**
 * When the last certificate that this CA key has issued and nobody revoked expires, Unix milliseconds; `undefined` when
 * none is alive at `now`. Certificates of CA keys do not count.
 */
export async function lastLeafExpiry(
  view: { readonly tables: Unit['tables'] },
  issuerKeyId: string,
  now: number,
): Promise<number | undefined> {
  // By the index over the expiry, from the far end: the first that fits is found among what is alive.
  const row = await view.tables
    .createQueryBuilder(CertificateRow, 'certificate')
    .where('certificate.expiresAt >= :now', { now })
    .andWhere('certificate.issuerKeyId = :issuerKeyId', { issuerKeyId })
    .andWhere('certificate.profile NOT IN (:...authorities)', { authorities: ['root', 'cross'] })
    .andWhere('certificate.revokedAt IS NULL')
    .orderBy('certificate.expiresAt', 'DESC')
    .limit(1)
    .getOne();
  return row?.expiresAt;
}
