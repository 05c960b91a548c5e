import { type DynamicModule, Module } from '@nestjs/common';
import { AuditEntryRow } from '../../audit/audit.entity.js';
import type { Settings } from '../../config/settings.js';
import type { Store } from '../../database/open-store.js';
import type { FailureLog } from '../../grpc/failure-log.js';
import { ensureFirstAdmin } from '../../operators/first-admin.js';
import { endAllOperators } from '../../operators/operator-register.js';
import { endAllLinks, lastLinkExpiry } from '../../pairing/links-of-root.js';
import { DeviceConnections } from '../../quic/device-connections.js';
import { systemRandomBytes } from '../../random/random-bytes.js';
import { CLOCK, SERVICE_HOLDS, SETTINGS, STORE } from '../../runtime.js';
import type { ServiceHolds } from '../../service-holds/service-holds.js';
import type { Clock } from '../../time/clock.js';
import { CertificateAuthority } from '../certificate-authority.js';
import { ServerCertificates } from '../server-certificates.js';
import { writeBundleFile } from '../trust-bundle-file.js';
import { CaFollower, type ChangeLog } from './ca-follower.js';
import { CaPublication } from './ca-publication.js';
import { CaRotation, type RootDependants } from './ca-rotation.js';
import { RotationController } from './rotation.controller.js';
import { DevicesToPair } from './devices-to-pair.js';

/** The certificates of the doors, and everything that changes with the roots. */
@Module({})
export class RotationModule {
  static of(failures: FailureLog): DynamicModule {
    const onFailure = (error: unknown): void => {
      failures.report(error, 'a change of the CA');
    };
    return {
      module: RotationModule,
      controllers: [RotationController],
      exports: [ServerCertificates],
      providers: [
        {
          provide: ServerCertificates,
          inject: [CertificateAuthority, STORE, CLOCK, SETTINGS, SERVICE_HOLDS],
          useFactory: (
            authority: CertificateAuthority,
            store: Store,
            clock: Clock,
            settings: Settings,
            holds: ServiceHolds,
          ) => serverCertificates({ authority, store, clock, settings, holds }, failures),
        },
        {
          provide: CaPublication,
          inject: [CertificateAuthority, STORE, ServerCertificates, DeviceConnections, SETTINGS],
          useFactory: (
            authority: CertificateAuthority,
            { committed }: Store,
            certificates: ServerCertificates,
            connections: DeviceConnections,
            { store: { dataDir } }: Settings,
          ): CaPublication =>
            new CaPublication({
              authority,
              committed,
              certificates,
              connections,
              writeBundle: (bundle) => writeBundleFile(dataDir, bundle),
              onFailure,
            }),
        },
        {
          provide: CaRotation,
          inject: [CertificateAuthority, STORE, CLOCK, SETTINGS, CaPublication, SERVICE_HOLDS],
          useFactory: (
            authority: CertificateAuthority,
            store: Store,
            clock: Clock,
            settings: Settings,
            publication: CaPublication,
            holds: ServiceHolds,
          ): CaRotation =>
            new CaRotation({
              unitOfWork: store.unitOfWork,
              committed: store.committed,
              clock,
              random: systemRandomBytes,
              authority,
              publication,
              dependants: dependantsOf(authority, store, clock, settings),
              isHeldUp: () => holds.stopping('rotation') !== undefined,
            }),
        },
        {
          provide: DevicesToPair,
          inject: [STORE, CertificateAuthority, DeviceConnections],
          useFactory: (
            { committed }: Store,
            authority: CertificateAuthority,
            connections: DeviceConnections,
          ): DevicesToPair => new DevicesToPair({ committed, authority, connections }),
        },
        {
          provide: CaFollower,
          inject: [STORE, CaPublication, CaRotation],
          useFactory: (store: Store, publication: CaPublication, rotation: CaRotation): CaFollower =>
            new CaFollower({
              log: changeLogOf(store),
              refresh: () => publication.refresh(),
              forgetRetired: () => rotation.forgetRetired(),
              onFailure,
            }),
        },
      ],
    };
  }

  constructor(private readonly follower: CaFollower) {}

  /** Nest calls this before the doors open. */
  onModuleInit(): void {
    this.follower.start();
  }

  /** Nest calls this after the doors have closed. */
  async onModuleDestroy(): Promise<void> {
    await this.follower.stop();
  }
}

interface ServerCertificatesParts {
  readonly authority: CertificateAuthority;
  readonly store: Store;
  readonly clock: Clock;
  readonly settings: Settings;
  readonly holds: ServiceHolds;
}

async function serverCertificates(
  { authority, store, clock, settings, holds }: ServerCertificatesParts,
  failures: FailureLog,
): Promise<ServerCertificates> {
  const certificates = new ServerCertificates({
    authority,
    unitOfWork: store.unitOfWork,
    clock,
    names: settings.cluster.serverNames,
    lifetimeMs: settings.cluster.serverCertValidity,
    isHeldUp: () => holds.stopping('server_certificates') !== undefined,
    onError: (door, error) => {
      failures.report(error, `renewal of the ${door} certificate`);
    },
  });
  await certificates.start();
  return certificates;
}

function dependantsOf(
  authority: CertificateAuthority,
  { unitOfWork, committed }: Store,
  clock: Clock,
  { store: { dataDir } }: Settings,
): RootDependants {
  return {
    lastLinkExpiry,
    endPinned: async (unit) => ({ operators: await endAllOperators(unit), links: await endAllLinks(unit) }),
    ensureAdmin: () =>
      ensureFirstAdmin({
        unitOfWork,
        committed,
        clock,
        dataDir,
        caKeyHash: authority.caKeyHash(),
        random: systemRandomBytes,
      }),
  };
}

function changeLogOf(store: Store): ChangeLog {
  return {
    sequence: () => store.storeTime().sequence,
    onCommit: (listener) => store.onCommit(listener),
    hasCaChange: async (after) => {
      const row = await store.committed.tables
        .createQueryBuilder(AuditEntryRow, 'entry')
        .select('entry.sequence')
        .where('entry.sequence > :after', { after })
        .andWhere(`entry.action LIKE 'ca.%'`)
        .limit(1)
        .getOne();
      return row !== null;
    },
  };
}
