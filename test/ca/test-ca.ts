import 'reflect-metadata';
import { randomBytes, type KeyObject } from 'node:crypto';
import { CertificateAuthority } from '../../src/ca/certificate-authority.js';
import { verifyCsr, type VerifiedCsr } from '../../src/ca/csr.js';
import { DEFAULT_CERT_VALIDITY, type SignedCertificate } from '../../src/ca/issued-certificate.js';
import { encodePem } from '../../src/ca/pem.js';
import type { KeyAlgorithm } from '../../src/ca/public-key.js';
import { makeRoot } from '../../src/ca/root-record.js';
import { trustBundlePem, type QuicRuntimeTlsMaterial, type TrustBundle } from '../../src/ca/trust-bundle.js';
import { newDeviceId } from '../../src/identity/device-id.js';
import { systemClock, type Clock } from '../../src/time/clock.js';
import { makeCsr } from '../../src/ca/csr-maker.js';
import { makeHostileCertificate, type HostileCase, type HostileCertificate } from './hostile-certificates.js';
import { newKeyPair } from '../../src/random/key-pair.js';

export interface TestCaOptions {
  readonly trustDomain?: string;
  readonly clock?: Clock;
  readonly publicHttpUrl?: string;
}

export interface TestDeviceOptions {
  readonly deviceId?: string;
  readonly algorithm?: KeyAlgorithm;
  readonly lifetimeMs?: number;
}

/** A device's certificate with its key, as a TLS client wants them. */
export interface TestDevice {
  readonly deviceId: string;
  /** PEM, the leaf alone. */
  readonly chain: string;
  /** PKCS#8 PEM. */
  readonly key: string;
  readonly fingerprint: string;
  readonly certificate: SignedCertificate;
}

/** The real CA, without a store: for tests of what its certificates open. */
export class TestCa {
  private constructor(
    readonly authority: CertificateAuthority,
    /** Private key of the root, PKCS#8 PEM: what hostile certificates are made with. */
    readonly rootKey: string,
  ) {}

  static async create(options: TestCaOptions = {}): Promise<TestCa> {
    const { trustDomain = 'test.palyra.internal', clock = systemClock, publicHttpUrl } = options;
    const { root, record } = await makeRoot(trustDomain, clock.now(), randomBytes);
    const { privateKey } = JSON.parse(record.toString('utf8')) as { privateKey: string };
    const rootKey = encodePem('PRIVATE KEY', Buffer.from(privateKey, 'base64'));
    return new TestCa(new CertificateAuthority([root], { trustDomain, clock, publicHttpUrl }), rootKey);
  }

  get trustDomain(): string {
    return this.authority.trustDomain;
  }

  get bundle(): TrustBundle {
    return this.authority.trustBundle();
  }

  /** PEM of the root. */
  get rootPem(): string {
    return trustBundlePem(this.bundle);
  }

  /** What a door serves with: localhost, 127.0.0.1, ::1 and the control plane's own name, and `names`. */
  async server(
    names: readonly string[] = [],
    lifetimeMs = DEFAULT_CERT_VALIDITY,
  ): Promise<QuicRuntimeTlsMaterial> {
    const { material } = await this.authority.issueControlPlaneCertificate({ names, lifetimeMs });
    return material;
  }

  /** A well-formed device certificate. It is in no registry: enrol its fingerprint to have it admitted. */
  async device(options: TestDeviceOptions = {}): Promise<TestDevice> {
    const { deviceId = newDeviceId(systemClock, randomBytes), algorithm = 'p256' } = options;
    const { lifetimeMs = DEFAULT_CERT_VALIDITY } = options;
    const { csr, privateKey } = verifiedCsr(algorithm);
    const certificate = await this.authority.issueDeviceCertificate({ deviceId, csr, lifetimeMs });
    const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    return { deviceId, chain: certificate.pem, key, fingerprint: certificate.fingerprint, certificate };
  }

  /** One of the bad certificates of `hostile-certificates.ts`, signed with this CA's key where the case says so. */
  hostile(name: HostileCase, deviceId?: string): Promise<HostileCertificate> {
    const ca = { certificate: this.authority.signingRoot, key: this.rootKey, trustDomain: this.trustDomain };
    return makeHostileCertificate(name, ca, deviceId === undefined ? {} : { deviceId });
  }
}

/** A new key and its checked request. */
export function verifiedCsr(algorithm: KeyAlgorithm = 'p256'): { csr: VerifiedCsr; privateKey: KeyObject } {
  const { privateKey } = algorithm === 'p256' ? newKeyPair('p256') : newKeyPair('ed25519');
  return { csr: verifyCsr(makeCsr(privateKey)), privateKey };
}
