import { hash, verify, type KeyObject } from 'node:crypto';
import {
  EXTENSION,
  hasKeyUsage,
  PURPOSE_OID,
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readPurposes,
  readSubjectAltNames,
  readSubjectKeyIdentifier,
} from './certificate-extensions.js';
import { parseCertificate, type ParsedCertificate } from './certificate-parser.js';
import { DerError } from './der.js';
import { readPublicKey, SIGNATURE_ALGORITHM } from './public-key.js';
import { parseDeviceUri } from './spiffe-id.js';
import { VerifiedSignatures } from './verified-signatures.js';

/** Why a chain is refused. The first that holds, in this order. */
export type ChainRefusal =
  /** The peer showed none. */
  | 'no_certificate'
  /** The leaf is not a certificate in strict DER, or has an extension that is unreadable, or critical and unknown. */
  | 'malformed'
  /** No root of the bundle, and nothing that one signed, has signed it. */
  | 'untrusted'
  | 'not_yet_valid'
  | 'expired'
  /** A CA's certificate, or one that may not sign a handshake. */
  | 'not_a_leaf'
  /** The extended key usage is absent, or is not clientAuth alone. */
  | 'eku'
  /** Anything but exactly one name, the URI of a device. */
  | 'san'
  /** A device of another trust domain. */
  | 'trust_domain';

export type ChainVerdict =
  | {
      readonly ok: true;
      readonly deviceId: string;
      /** SHA-256 of the leaf's DER, lower-case hex. */
      readonly fingerprint: string;
      /** Unix milliseconds; the certificate is still valid at this moment. */
      readonly notAfter: number;
    }
  | { readonly ok: false; readonly reason: ChainRefusal };

/** The most certificates of a peer that are looked at: the leaf, cross-certificates and a root. */
const MAX_CHAIN = 6;
/** Signatures that one peer may have us verify. */
const MAX_VERIFICATIONS = 8;

/** Extensions that a certificate may mark critical here, because they are understood (RFC 5280 §4.2). */
const UNDERSTOOD: ReadonlySet<string> = new Set(Object.values(EXTENSION));

/**
 * Decides what DESIGN §6 asks of a device's certificate, all but the registry: a root in the bundle signed it (or the
 * chain it brings), now is inside its validity, its extended key usage is clientAuth alone, and its one name is
 * `spiffe://<trust domain>/device/<canonical ULID>`.
 *
 * `chain` is DER, leaf first, as the peer sent it; `roots` is DER, kept parsed for as long as its buffers are, which
 * must not be written to; `now` is Unix milliseconds. Never throws, whatever the bytes.
 */
export function verifyDeviceChain(
  chain: readonly Uint8Array[],
  roots: readonly Buffer[],
  now: number,
  trustDomain: string,
): ChainVerdict {
  try {
    return verdictOn(chain, roots, now, trustDomain);
  } catch {
    // Only what `DerReader` refuses is expected here; a fault of ours must not let anybody in, nor end the process.
    return refused('malformed');
  }
}

function verdictOn(
  chain: readonly Uint8Array[],
  roots: readonly Buffer[],
  now: number,
  trustDomain: string,
): ChainVerdict {
  const [first, ...rest] = chain;
  if (!first) return refused('no_certificate');
  const leaf = parseCertificate(Buffer.from(first));
  const path = new PathSearch(validAt(roots.map(parsedRoot), now), validAt(readable(rest), now));
  if (!path.reachesRoot(leaf, 0)) return refused('untrusted');
  const reason = refusalOfLeaf(leaf, now);
  if (reason) return refused(reason);
  return verdictOnName(leaf, trustDomain);
}

const refused = (reason: ChainRefusal): ChainVerdict => ({ ok: false, reason });

function refusalOfLeaf(leaf: ParsedCertificate, now: number): ChainRefusal | undefined {
  if (hasUnknownCritical(leaf)) return 'malformed';
  if (now < leaf.notBefore) return 'not_yet_valid';
  if (now > leaf.notAfter) return 'expired';
  if (readBasicConstraints(leaf)?.ca === true || !hasKeyUsage(leaf, 'digitalSignature')) return 'not_a_leaf';
  const purposes = readPurposes(leaf);
  if (purposes?.length !== 1 || purposes[0] !== PURPOSE_OID.clientAuth) return 'eku';
  return undefined;
}

function verdictOnName(leaf: ParsedCertificate, trustDomain: string): ChainVerdict {
  const [name, ...others] = readSubjectAltNames(leaf) ?? [];
  if (name?.type !== 'uri' || others.length > 0) return refused('san');
  const device = parseDeviceUri(name.value);
  if (!device) return refused('san');
  if (device.trustDomain !== trustDomain) return refused('trust_domain');
  const fingerprint = hash('sha256', leaf.der, 'hex');
  return { ok: true, deviceId: device.deviceId, fingerprint, notAfter: leaf.notAfter };
}

function hasUnknownCritical(certificate: ParsedCertificate): boolean {
  for (const [oid, { critical }] of certificate.extensions) if (critical && !UNDERSTOOD.has(oid)) return true;
  return false;
}

/** Roots by the buffer that holds them: a bundle keeps its buffers, so each root is taken apart once. */
const parsedRoots = new WeakMap<Buffer, ParsedCertificate>();

function parsedRoot(der: Buffer): ParsedCertificate {
  const known = parsedRoots.get(der);
  if (known) return known;
  const root = parseCertificate(der);
  parsedRoots.set(der, root);
  return root;
}

/** What a peer sends behind its leaf and cannot be read helps it nothing, and harms it neither. */
function readable(chain: readonly Uint8Array[]): ParsedCertificate[] {
  const certificates: ParsedCertificate[] = [];
  for (const der of chain.slice(0, MAX_CHAIN - 1)) {
    try {
      certificates.push(parseCertificate(Buffer.from(der)));
    } catch (error) {
      if (!(error instanceof DerError)) throw error;
    }
  }
  return certificates;
}

const validAt = (certificates: readonly ParsedCertificate[], now: number): ParsedCertificate[] =>
  certificates.filter(({ notBefore, notAfter }) => notBefore <= now && now <= notAfter);

/** Looks for a path from a certificate to a root (RFC 5280 §6.1), with a bound on the work one peer can ask for. */
class PathSearch {
  #verifications = 0;

  constructor(
    private readonly roots: readonly ParsedCertificate[],
    private readonly intermediates: readonly ParsedCertificate[],
  ) {}

  /** `below`: how many CA certificates stand between `certificate` and the leaf, itself included. */
  reachesRoot(certificate: ParsedCertificate, below: number): boolean {
    if (this.roots.some((root) => this.#issued(root, certificate, below))) return true;
    if (below >= this.intermediates.length) return false;
    return this.intermediates.some(
      (ca) => ca !== certificate && this.#issued(ca, certificate, below) && this.reachesRoot(ca, below + 1),
    );
  }

  #issued(ca: ParsedCertificate, certificate: ParsedCertificate, below: number): boolean {
    if (!ca.subject.equals(certificate.issuer) || !namesKeyOf(certificate, ca)) return false;
    if (!mayIssue(ca, below)) return false;
    this.#verifications += 1;
    return this.#verifications <= MAX_VERIFICATIONS && hasSigned(ca, certificate);
  }
}

/** RFC 5280 §4.2.1.1: told apart from another CA of the same name. */
function namesKeyOf(certificate: ParsedCertificate, ca: ParsedCertificate): boolean {
  const wanted = readAuthorityKeyIdentifier(certificate);
  const has = readSubjectKeyIdentifier(ca);
  return !wanted || !has || wanted.equals(has);
}

/** RFC 5280 §6.1.4 (k), (l), (m), (n): a CA, with path length left, that may sign certificates. */
function mayIssue(ca: ParsedCertificate, below: number): boolean {
  const constraints = readBasicConstraints(ca);
  if (constraints?.ca !== true || hasUnknownCritical(ca)) return false;
  const withinPath = constraints.pathLength === undefined || below <= constraints.pathLength;
  return withinPath && hasKeyUsage(ca, 'keyCertSign');
}

/** What is known of a CA certificate for as long as it is kept parsed, which is the case for roots. */
interface Verifier {
  readonly key: KeyObject;
  readonly verified: VerifiedSignatures;
}

/** Our CAs sign with ECDSA P-256 and SHA-256 alone. */
function hasSigned(ca: ParsedCertificate, certificate: ParsedCertificate): boolean {
  if (!certificate.signatureAlgorithm.equals(SIGNATURE_ALGORITHM.p256)) return false;
  const verifier = verifierOf(ca);
  return (
    verifier?.verified.holds(certificate.der, () =>
      verify('sha256', certificate.tbs, verifier.key, certificate.signature),
    ) === true
  );
}

/** `null`: not a P-256 key. */
const verifiers = new WeakMap<ParsedCertificate, Verifier | null>();

function verifierOf(ca: ParsedCertificate): Verifier | null {
  const known = verifiers.get(ca);
  if (known !== undefined) return known;
  const read = readPublicKey(ca.spki);
  const isUsable = typeof read !== 'string' && read.algorithm === 'p256';
  const verifier = isUsable ? { key: read.key, verified: new VerifiedSignatures() } : null;
  verifiers.set(ca, verifier);
  return verifier;
}
