import { verify, type KeyObject } from 'node:crypto';
import { DomainError } from '../errors/domain-error.js';
import {
  ACCESS_METHOD,
  EXTENSION,
  KEY_USAGE_BIT,
  PURPOSE_OID,
  readAuthorityInfoAccess,
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readCrlDistributionPoints,
  readKeyUsageBits,
  readPurposes,
  readSubjectAltNames,
  readSubjectKeyIdentifier,
} from './certificate-extensions.js';
import { parseCertificate, type ParsedCertificate } from './certificate-parser.js';
import { readDistinguishedName } from './names.js';
import { SIGNATURE_ALGORITHM } from './public-key.js';
import type { CertificateProfile } from './profiles.js';
import type { CertificateTemplate } from './template.js';

/** What the certificate must show besides its template. */
export interface ExpectedIssuer {
  /** Name, DER. */
  readonly name: Buffer;
  readonly keyIdentifier: Buffer;
  readonly publicKey: KeyObject;
}

/**
 * Reads a certificate that was just signed with the strict reader, other code than the writer's, and compares
 * every field with what was decided; verifies its signature. Throws `internal` ISSUANCE_CHECK with the field as cause:
 * the certificate must not be let out.
 */
export function checkOwnOutput(
  der: Buffer,
  template: CertificateTemplate,
  subjectKeyIdentifier: Buffer,
  issuer: ExpectedIssuer,
): ParsedCertificate {
  const { certificate, wrong } = examined(der, template, subjectKeyIdentifier, issuer);
  if (wrong !== undefined) throw failed(wrong);
  return certificate;
}

function examined(
  der: Buffer,
  template: CertificateTemplate,
  subjectKeyIdentifier: Buffer,
  issuer: ExpectedIssuer,
): { certificate: ParsedCertificate; wrong: string | undefined } {
  try {
    const certificate = parseCertificate(der);
    const wrong =
      wrongFrame(certificate, template, issuer) ??
      wrongExtension(certificate, template.profile, subjectKeyIdentifier, issuer.keyIdentifier);
    return { certificate, wrong };
  } catch (cause) {
    throw failed(cause);
  }
}

function failed(cause: unknown): DomainError {
  return new DomainError(
    'internal',
    'ISSUANCE_CHECK',
    'the certificate did not pass its own check; nothing was issued',
    {
      cause,
    },
  );
}

function wrongFrame(
  certificate: ParsedCertificate,
  template: CertificateTemplate,
  issuer: ExpectedIssuer,
): string | undefined {
  if (!certificate.serial.equals(template.serial)) return 'serial';
  if (!certificate.issuer.equals(issuer.name)) return 'issuer';
  if (!same(readDistinguishedName(certificate.subject), template.profile.subject)) return 'subject';
  if (certificate.notBefore !== template.notBefore) return 'notBefore';
  if (certificate.notAfter !== template.notAfter) return 'notAfter';
  if (!certificate.spki.equals(template.spki)) return 'public key';
  if (!certificate.signatureAlgorithm.equals(SIGNATURE_ALGORITHM.p256)) return 'signature algorithm';
  if (!verify('sha256', certificate.tbs, issuer.publicKey, certificate.signature)) return 'signature';
  return undefined;
}

function wrongExtension(
  certificate: ParsedCertificate,
  profile: CertificateProfile,
  subjectKeyIdentifier: Buffer,
  authorityKeyIdentifier: Buffer,
): string | undefined {
  const { extensions } = certificate;
  if (!hasExpected(extensions, profile)) return 'extensions';
  for (const [oid, { critical }] of extensions) {
    if (critical !== CRITICAL.has(oid)) return 'critical extensions';
  }
  const constraints = readBasicConstraints(certificate);
  if (constraints?.ca !== (profile.ca !== null)) return 'basicConstraints';
  if (constraints.pathLength !== profile.ca?.pathLength) return 'path length';
  const bits = profile.keyUsage.map((usage) => KEY_USAGE_BIT[usage]);
  if (!same(readKeyUsageBits(certificate), bits)) return 'keyUsage';
  const purposes = profile.purposes.map((purpose) => PURPOSE_OID[purpose]);
  if (!same(readPurposes(certificate) ?? [], purposes)) return 'extKeyUsage';
  if (!same(readSubjectAltNames(certificate) ?? [], profile.subjectAltNames)) return 'subjectAltName';
  if (!readSubjectKeyIdentifier(certificate)?.equals(subjectKeyIdentifier)) return 'subjectKeyIdentifier';
  if (!readAuthorityKeyIdentifier(certificate)?.equals(authorityKeyIdentifier))
    return 'authorityKeyIdentifier';
  return wrongStatus(certificate, profile);
}

function wrongStatus(certificate: ParsedCertificate, { status }: CertificateProfile): string | undefined {
  const lists = status ? [status.crl] : [];
  if (!same(readCrlDistributionPoints(certificate) ?? [], lists)) return 'cRLDistributionPoints';
  const accesses = (readAuthorityInfoAccess(certificate) ?? []).map(({ method, url }) => `${method} ${url}`);
  const wanted = status ? [`${ACCESS_METHOD.caIssuers} ${status.issuer}`] : [];
  return same(accesses, wanted) ? undefined : 'authorityInfoAccess';
}

/** RFC 5280 §4.2.1.3, §4.2.1.9; the others are not. */
const CRITICAL: ReadonlySet<string> = new Set([EXTENSION.keyUsage, EXTENSION.basicConstraints]);

/** Exactly those that the profile asks for, in any order; the reader has refused those that stand there twice. */
function hasExpected(extensions: ReadonlyMap<string, unknown>, profile: CertificateProfile): boolean {
  let expected = 0;
  for (const [oid, isWanted] of EXPECTED) {
    if (!isWanted(profile)) continue;
    if (!extensions.has(oid)) return false;
    expected += 1;
  }
  return extensions.size === expected;
}

const always = (): boolean => true;
const withStatus = ({ status }: CertificateProfile): boolean => status !== undefined;

const EXPECTED: readonly (readonly [string, (profile: CertificateProfile) => boolean])[] = [
  [EXTENSION.subjectKeyIdentifier, always],
  [EXTENSION.keyUsage, always],
  [EXTENSION.basicConstraints, always],
  [EXTENSION.authorityKeyIdentifier, always],
  [EXTENSION.subjectAltName, ({ subjectAltNames }) => subjectAltNames.length > 0],
  [EXTENSION.extendedKeyUsage, ({ purposes }) => purposes.length > 0],
  [EXTENSION.crlDistributionPoints, withStatus],
  [EXTENSION.authorityInfoAccess, withStatus],
];

type Listed = string | number | { readonly type: string; readonly value?: string };

/** The same values in the same order. */
function same(one: readonly Listed[] | undefined, other: readonly Listed[]): boolean {
  if (one?.length !== other.length) return false;
  return other.every((value, index) => equal(one[index], value));
}

function equal(one: Listed | undefined, other: Listed): boolean {
  if (typeof one !== 'object' || typeof other !== 'object') return one === other;
  return one.type === other.type && one.value !== undefined && one.value === other.value;
}
