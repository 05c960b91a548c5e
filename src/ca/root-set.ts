import { DomainError, wrongState } from '../errors/domain-error.js';
import type { SecretReader } from '../secret-store/secret-store.js';
import type { ParsedCertificate } from './certificate-parser.js';
import { readAuthorityKeyIdentifier } from './certificate-extensions.js';
import { openRootRecord, ROOT_RECORD_PREFIX, type Root } from './root-record.js';
import type { TrustBundle } from './trust-bundle.js';

/**
 * How long a device's pending record lives (docs/protocol.md, "Pairing"): so long at least the way from a retired root is
 * shown, also where no device may return.
 */
const PENDING_RECORD_MS = 8 * 24 * 60 * 60 * 1000;

/** All roots of the cluster at one moment: one signs, some are trusted, some have only their way shown. Immutable. */
export class RootSet {
  /** The signing one first, then by creation. */
  readonly all: readonly Root[];
  readonly bundle: TrustBundle;

  private constructor(
    readonly signing: Root,
    others: readonly Root[],
  ) {
    this.all = [signing, ...[...others].sort((one, other) => one.createdAt - other.createdAt)];
    const roots = this.all.filter(isTrusted).map(({ issuer }) => issuer.certificate.der);
    this.bundle = { trustDomain: signing.trustDomain, roots };
  }

  /** Throws `corrupt` CA_STATE unless exactly one signs, and `wrong_state` TRUST_DOMAIN when it is of another one. */
  static of(roots: readonly Root[], trustDomain: string): RootSet {
    const signing = roots.filter(({ state }) => state === 'signing');
    const [root] = signing;
    if (root === undefined || signing.length > 1) {
      throw new DomainError(
        'corrupt',
        'CA_STATE',
        `the store has ${signing.length} CA keys that sign; restore a backup`,
      );
    }
    if (root.trustDomain !== trustDomain) {
      throw wrongState(
        'TRUST_DOMAIN',
        `the trust domain is "${root.trustDomain}" since the first start and cannot become "${trustDomain}"`,
      );
    }
    return new RootSet(
      root,
      roots.filter((other) => other !== root),
    );
  }

  find(keyId: string): Root | undefined {
    return this.all.find(({ issuer }) => issuer.keyId === keyId);
  }

  /** The older roots that devices or operators may still know alone, in creation order. */
  olderThan(root: Root, now: number, returnGraceMs: number): Root[] {
    return this.all.filter(
      (other) =>
        (other.state === 'retiring' || other.state === 'retired') &&
        other.createdAt <= root.createdAt &&
        other !== root &&
        isShown(other, now, returnGraceMs),
    );
  }

  /**
   * What is sent behind a leaf of `root`, DER: its cross-certificates under older roots, itself, then those roots, since
   * tokens and links pin a root and look for it. The cross-certificates come first: OpenSSL takes the first issuer that
   * fits, and would stop at a root that it does not trust.
   */
  behind(root: Root, now: number, returnGraceMs: number): Buffer[] {
    const older = this.olderThan(root, now, returnGraceMs);
    const crosses = root.crossCertificates.filter(
      (cross) => now <= cross.notAfter && older.some((old) => isIssuedBy(cross, old)),
    );
    return [
      ...crosses.map(({ der }) => der),
      root.issuer.certificate.der,
      ...older.map(({ issuer }) => issuer.certificate.der),
    ];
  }

  /** Equal for two sets that are the same in every respect. */
  get version(): string {
    const facts = this.all.map(({ issuer, crossCertificates: _crosses, ...rest }) => [issuer.keyId, rest]);
    return JSON.stringify(facts);
  }
}

/** Whether a root is in the trust bundle. */
export const isTrusted = ({ state }: Root): boolean => state !== 'retired';

/** Until when the way from a root to newer ones is shown, Unix milliseconds; `undefined` as long as it is trusted. */
export function shownUntil(root: Root, returnGraceMs: number): number | undefined {
  if (root.retiredAt === null) return undefined;
  // A root is retired only after its last leaf has expired, and the grace of that leaf ends no later than this.
  const end = root.retiredAt + Math.max(returnGraceMs, PENDING_RECORD_MS);
  return Math.min(end, root.issuer.certificate.notAfter);
}

function isShown(root: Root, now: number, returnGraceMs: number): boolean {
  return now < (shownUntil(root, returnGraceMs) ?? root.issuer.certificate.notAfter);
}

function isIssuedBy(cross: ParsedCertificate, { issuer }: Root): boolean {
  const wanted = readAuthorityKeyIdentifier(cross);
  return cross.issuer.equals(issuer.certificate.subject) && wanted?.equals(issuer.keyIdentifier) === true;
}

export async function readRoots(secrets: SecretReader): Promise<Root[]> {
  const roots: Root[] = [];
  for (const name of await secrets.list(ROOT_RECORD_PREFIX)) {
    const record = await secrets.read(name);
    if (record) roots.push(await openRootRecord(name, record));
  }
  return roots;
}
