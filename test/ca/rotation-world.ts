import 'reflect-metadata';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CertificateAuthority } from '../../src/ca/certificate-authority.js';
import { recordIssued } from '../../src/ca/certificate-index.js';
import { DEFAULT_CERT_VALIDITY, type IssuedCertificate } from '../../src/ca/issued-certificate.js';
import { CaPublication } from '../../src/ca/rotation/ca-publication.js';
import { CaRotation } from '../../src/ca/rotation/ca-rotation.js';
import { ServerCertificates } from '../../src/ca/server-certificates.js';
import type { QuicRuntimeTlsMaterial } from '../../src/ca/trust-bundle.js';
import { writeBundleFile } from '../../src/ca/trust-bundle-file.js';
import { newDeviceId } from '../../src/identity/device-id.js';
import type { OperatorCaller } from '../../src/operators/caller.js';
import { ensureFirstAdmin } from '../../src/operators/first-admin.js';
import { endAllOperators, OperatorRegister } from '../../src/operators/operator-register.js';
import { endAllLinks, lastLinkExpiry } from '../../src/pairing/links-of-root.js';
import { PairingCodes } from '../../src/pairing/pairing-codes.js';
import { DeviceConnections } from '../../src/quic/device-connections.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { ManualClock } from '../../src/time/clock.js';
import { TemporaryStore } from '../store/temporary-store.js';
import { verifiedCsr, type TestDevice } from './test-ca.js';

export const DAY_MS = 86_400_000;
export const TRUST_DOMAIN = 'edge.example';

export const admin: OperatorCaller = {
  kind: 'operator',
  operatorId: '7zk4m9qx',
  role: 'admin',
  source: '192.0.2.10',
};

/** One process's view of the CA: what a replica holds in memory. */
export interface Replica {
  readonly authority: CertificateAuthority;
  readonly certificates: ServerCertificates;
  readonly connections: DeviceConnections;
  readonly publication: CaPublication;
}

/** Rotation on a real store, with a clock that stands still. */
export class RotationWorld {
  readonly failures: unknown[] = [];
  /** Something stops rotation. */
  isHeldUp = false;

  private constructor(
    readonly temporary: TemporaryStore,
    readonly clock: ManualClock,
    readonly replica: Replica,
    readonly rotation: CaRotation,
    readonly codes: PairingCodes,
  ) {}

  /** `returnGraceMs`: 30 days unless said otherwise. */
  static async open(options: { returnGraceMs?: number; startAt?: number } = {}): Promise<RotationWorld> {
    const clock = new ManualClock(options.startAt ?? 1_780_000_000_000);
    const temporary = await TemporaryStore.open({ clock });
    const { dataDir } = temporary;
    const failures: unknown[] = [];
    const replica = await replicaOn(temporary, clock, failures, options.returnGraceMs);
    const { authority, publication } = replica;
    const { unitOfWork, committed } = temporary.store;
    const ensureAdmin = (): Promise<void> => {
      const caKeyHash = authority.caKeyHash();
      const random = systemRandomBytes;
      return ensureFirstAdmin({ unitOfWork, committed, clock, dataDir, caKeyHash, random });
    };
    await ensureAdmin();
    let world: RotationWorld | undefined = undefined;
    const rotation: CaRotation = new CaRotation({
      unitOfWork,
      committed,
      clock,
      random: systemRandomBytes,
      authority,
      publication,
      isHeldUp: () => world?.isHeldUp === true,
      dependants: {
        lastLinkExpiry,
        endPinned: async (unit) => ({
          operators: await endAllOperators(unit),
          links: await endAllLinks(unit),
        }),
        ensureAdmin,
      },
    });
    const codes = new PairingCodes({
      unitOfWork,
      committed,
      clock,
      random: systemRandomBytes,
      caKeyHash: () => authority.caKeyHash(),
      defaultEndpoint: () => 'localhost:7443',
    });
    world = new RotationWorld(temporary, clock, replica, rotation, codes);
    world.failures.push(...failures);
    return world;
  }

  get authority(): CertificateAuthority {
    return this.replica.authority;
  }

  /** What a door serves now. */
  server(door: 'grpc' | 'quic' = 'grpc'): QuicRuntimeTlsMaterial {
    return this.replica.certificates.material(door);
  }

  /** Another process on the same store, as it starts now. */
  async secondReplica(): Promise<Replica> {
    const dataDir = join(this.temporary.dataDir, 'second');
    await mkdir(dataDir, { recursive: true });
    return replicaOn(this.temporary, this.clock, this.failures, 30 * DAY_MS, dataDir);
  }

  async device(lifetimeMs = DEFAULT_CERT_VALIDITY): Promise<IssuedCertificate> {
    return (await this.deviceWithKey(lifetimeMs)).issued;
  }

  /** A recorded device certificate with its key; `chain` is what the device is given with it. */
  async deviceWithKey(
    lifetimeMs = DEFAULT_CERT_VALIDITY,
  ): Promise<{ device: TestDevice; chain: Buffer[]; issued: IssuedCertificate }> {
    const deviceId = newDeviceId(this.clock, systemRandomBytes);
    const { csr, privateKey } = verifiedCsr();
    const { authority } = this;
    const issued = await this.temporary.store.unitOfWork.run(async (unit) =>
      recordIssued(unit, await authority.issueDeviceCertificate({ deviceId, csr, lifetimeMs })),
    );
    const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    const device = { deviceId, chain: issued.pem, key, fingerprint: issued.fingerprint, certificate: issued };
    return { device, issued, chain: authority.chainOf(issued.der, issued.issuerKeyId) };
  }

  operators(): OperatorRegister {
    return new OperatorRegister(this.temporary.store.committed.secrets);
  }

  async actions(): Promise<string[]> {
    const entries = await this.temporary.store.auditLog.entries({ after: 0, limit: 1000 });
    return entries.map(({ action }) => action).filter((action) => action.startsWith('ca.'));
  }

  async remove(): Promise<void> {
    await this.replica.certificates.stop();
    await this.temporary.remove();
  }
}

async function replicaOn(
  temporary: TemporaryStore,
  clock: ManualClock,
  failures: unknown[],
  returnGraceMs = 30 * DAY_MS,
  dataDir = temporary.dataDir,
): Promise<Replica> {
  const { unitOfWork, committed } = temporary.store;
  const settings = { trustDomain: TRUST_DOMAIN, clock, returnGraceMs };
  const authority = await unitOfWork.run((unit) => CertificateAuthority.createOrLoad(unit, settings));
  const onError = (_door: string, error: unknown): void => void failures.push(error);
  const certificates = new ServerCertificates({ authority, unitOfWork, clock, names: [], onError });
  await certificates.start();
  const connections = new DeviceConnections();
  const publication = new CaPublication({
    authority,
    committed,
    certificates,
    connections,
    writeBundle: (bundle) => writeBundleFile(dataDir, bundle),
    onFailure: (error) => failures.push(error),
  });
  return { authority, certificates, connections, publication };
}
