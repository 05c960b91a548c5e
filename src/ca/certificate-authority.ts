import { createHash } from 'node:crypto';
import type { Unit } from '../database/unit-of-work.js';
import { DomainError, malformed } from '../errors/domain-error.js';
import { systemRandomBytes, type RandomBytes } from '../random/random-bytes.js';
import { pooledRandomBytes } from '../random/random-pool.js';
import type { SecretReader } from '../secret-store/secret-store.js';
import type { Clock } from '../time/clock.js';
import { recordIssued } from './certificate-index.js';
import type { VerifiedCsr } from './csr.js';
import { issueLeaf, type Issuer } from './issuer.js';
import type { SignedCertificate } from './issued-certificate.js';
import { encodePem } from './pem.js';
import { controlPlaneProfile, deviceProfile } from './profiles.js';
import { makeRoot, rootRecordName, type Root } from './root-record.js';
import { isTrusted, readRoots, RootSet } from './root-set.js';
import { isDnsName } from './spiffe-id.js';
import { statusUrls } from './status-urls.js';
import { trustBundlePem, type QuicRuntimeTlsMaterial, type TrustBundle } from './trust-bundle.js';
import { newKeyPair } from '../random/key-pair.js';

export interface CertificateAuthoritySettings {
  /** Lower-case DNS name, fixed at first start. */
  readonly trustDomain: string;
  readonly clock: Clock;
  /** Serial numbers; the system's by default. */
  readonly randomBytes?: RandomBytes;
  /** Throws when nothing may be issued to devices, or for our own doors; asked before each signature. By default all may. */
  readonly requireIssuance?: (work: 'issuance' | 'server_certificates') => void;
  /** Where others reach the HTTP door, without a slash at its end; unset: certificates do not say where their status is. */
  readonly publicHttpUrl?: string | undefined;
  /** How long an expired device may return, milliseconds: so long the way from a retired root is shown; 30 days by default. */
  readonly returnGraceMs?: number;
}

const DEFAULT_RETURN_GRACE_MS = 30 * 24 * 60 * 60 * 1000;

export interface DeviceCertificateRequest {
  /** Canonical ULID. */
  readonly deviceId: string;
  readonly csr: VerifiedCsr;
  readonly lifetimeMs: number;
}

export interface ControlPlaneCertificateRequest {
  /** DNS names and IP addresses by which clients reach the doors. */
  readonly names: readonly string[];
  readonly lifetimeMs: number;
}

/** A certificate of a door with its new key. `certificate` is to be recorded before the door uses `material`. */
export interface ControlPlaneCertificate {
  readonly certificate: SignedCertificate;
  readonly material: QuicRuntimeTlsMaterial;
}

/** The cluster's own CA: one root signs, and what it signs follows the profiles of DESIGN §3. */
export class CertificateAuthority {
  readonly #settings: CertificateAuthoritySettings;
  #roots: RootSet;

  /** `roots` as they are stored; exactly one of them signs. */
  constructor(roots: readonly Root[], settings: CertificateAuthoritySettings) {
    this.#settings = settings;
    this.#roots = RootSet.of(roots, settings.trustDomain);
  }

  /**
   * Opens the CA of the store, or makes it when this is the first start; the trust domain is fixed then. Throws `corrupt`
   * when the CA's records are damaged, or gone while devices are still there: a new CA would lock all of them out.
   */
  static async createOrLoad(
    unit: Unit,
    settings: CertificateAuthoritySettings,
  ): Promise<CertificateAuthority> {
    const roots = await readRoots(unit.secrets);
    if (roots.length > 0) return new CertificateAuthority(roots, settings);
    await refuseWithDevices(unit.secrets);
    return new CertificateAuthority([await createRoot(unit, settings)], settings);
  }

  get trustDomain(): string {
    return this.#settings.trustDomain;
  }

  /** All roots as they were when last read. */
  get roots(): RootSet {
    return this.#roots;
  }

  get returnGraceMs(): number {
    return this.#settings.returnGraceMs ?? DEFAULT_RETURN_GRACE_MS;
  }

  /**
   * Takes over what is committed: every replica calls this when the change log says that the CA changed. Returns whether
   * anything did. Throws `corrupt`, and keeps the roots it has then.
   */
  async reload(secrets: SecretReader): Promise<boolean> {
    const roots = RootSet.of(await readRoots(secrets), this.trustDomain);
    if (roots.version === this.#roots.version) return false;
    this.#roots = roots;
    return true;
  }

  /** Key id of the root that signs: 40 hex digits. */
  get keyId(): string {
    return this.#signing.issuer.keyId;
  }

  /** The signing root, DER. */
  get signingRoot(): Buffer {
    return this.#signing.issuer.certificate.der;
  }

  /** Every CA key that this store has: those whose certificates may still be about. */
  issuers(): readonly Issuer[] {
    return this.#roots.all.map(({ issuer }) => issuer);
  }

  trustBundle(): TrustBundle {
    return this.#roots.bundle;
  }

  /**
   * A leaf with what stands behind it: cross-certificates, the root that signed it (the signing one unless said
   * otherwise), and the older roots that are still shown. DER.
   */
  chainOf(leaf: Buffer, issuerKeyId = this.keyId): Buffer[] {
    const root = this.#roots.find(issuerKeyId);
    if (root === undefined) return [leaf];
    return [leaf, ...this.#roots.behind(root, this.#settings.clock.now(), this.returnGraceMs)];
  }

  /** Whether what the root of this key id signed is trusted. */
  trusts(issuerKeyId: string): boolean {
    const root = this.#roots.find(issuerKeyId);
    return root !== undefined && isTrusted(root);
  }

  /** May anything be issued to devices now? Throws `unavailable` with the reason of what stands against it. */
  requireIssuance(): void {
    this.#settings.requireIssuance?.('issuance');
  }

  /** SHA-256 of the SubjectPublicKeyInfo of the root that signs, 32 bytes: what operator tokens and links pin. */
  caKeyHash(): Buffer {
    return createHash('sha256').update(this.#signing.issuer.certificate.spki).digest();
  }

  /**
   * Signs a device certificate (P-256 or Ed25519 key of the request). Waits for nothing but microtasks, so it may be
   * called inside a unit of work; record the result there (`recordIssued`) and let it out only once that has committed.
   * Throws `malformed` DEVICE_ID or LIFETIME, `wrong_state` CA_NOT_VALID, `internal` ISSUANCE_CHECK, `unavailable` with
   * the reason of a hold.
   */
  async issueDeviceCertificate(request: DeviceCertificateRequest): Promise<SignedCertificate> {
    this.requireIssuance();
    const profile = deviceProfile(this.trustDomain, request.deviceId);
    return this.#issue(profile, request.csr.spki, request.lifetimeMs);
  }

  /**
   * Makes a P-256 key and a control-plane certificate for it. Throws `malformed` SERVER_NAME or LIFETIME, otherwise as
   * above.
   */
  async issueControlPlaneCertificate(
    request: ControlPlaneCertificateRequest,
  ): Promise<ControlPlaneCertificate> {
    this.#settings.requireIssuance?.('server_certificates');
    const profile = controlPlaneProfile(this.trustDomain, request.names);
    const { publicKey, privateKey } = newKeyPair('p256');
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    const certificate = await this.#issue(profile, spki, request.lifetimeMs);
    const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    return { certificate, material: this.serverMaterial(certificate.der, key, certificate.expiresAt) };
  }

  /**
   * What a door serves: a leaf of the signing root with its whole chain, root included, since tokens and links pin the
   * root. `key` is PKCS#8 PEM.
   */
  serverMaterial(leaf: Buffer, key: string, expiresAt: number): QuicRuntimeTlsMaterial {
    const chain = this.chainOf(leaf)
      .map((der) => encodePem('CERTIFICATE', der))
      .join('');
    return { chain, key, bundle: trustBundlePem(this.trustBundle()), expiresAt };
  }

  get #signing(): Root {
    return this.#roots.signing;
  }

  #issue(
    profile: ReturnType<typeof deviceProfile>,
    spki: Buffer,
    lifetimeMs: number,
  ): Promise<SignedCertificate> {
    const { clock, randomBytes = serialBytes, publicHttpUrl } = this.#settings;
    const issuer: Issuer = this.#signing.issuer;
    const complete =
      publicHttpUrl === undefined ? profile : { ...profile, status: statusUrls(publicHttpUrl, issuer.keyId) };
    return issueLeaf(issuer, complete, { spki, issuedAt: clock.now(), lifetimeMs }, randomBytes);
  }
}

/** The only random part of a certificate is its serial number, which is public. */
const serialBytes = pooledRandomBytes(systemRandomBytes);

async function refuseWithDevices(secrets: SecretReader): Promise<void> {
  const [device] = await secrets.list('device/', { limit: 1 });
  if (device === undefined) return;
  throw new DomainError(
    'corrupt',
    'CA_MISSING',
    'the store has devices but no CA; restore the store from a backup',
  );
}

async function createRoot(unit: Unit, settings: CertificateAuthoritySettings): Promise<Root> {
  const { trustDomain, clock, randomBytes = systemRandomBytes } = settings;
  if (!isDnsName(trustDomain)) {
    throw malformed('TRUST_DOMAIN', `the trust domain "${trustDomain}" must be a lower-case DNS name`);
  }
  const { root, certificate, record } = await makeRoot(trustDomain, clock.now(), randomBytes);
  await unit.secrets.write(rootRecordName(root.issuer.keyId), record);
  await recordIssued(unit, certificate);
  unit.audit.append({
    actor: 'system',
    source: 'local',
    action: 'ca.created',
    subject: rootRecordName(root.issuer.keyId),
    details: { trustDomain, fingerprint: certificate.fingerprint, expiresAt: certificate.expiresAt },
  });
  return root;
}
