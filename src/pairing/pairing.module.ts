import { Logger, Module } from '@nestjs/common';
import { CertificateAuthority } from '../ca/certificate-authority.js';
import type { Settings } from '../config/settings.js';
import type { Store } from '../database/open-store.js';
import type { CommittedReader, UnitOfWork } from '../database/unit-of-work.js';
import { DoorAddresses, advertisedEndpoints } from '../door-addresses.js';
import { IdentityModule } from '../identity/identity.module.js';
import { Metrics } from '../observability/metrics.js';
import { DeviceConnections } from '../quic/device-connections.js';
import { systemRandomBytes } from '../random/random-bytes.js';
import {
  CLOCK,
  COMMITTED_READER,
  SERVICE_HOLDS,
  SETTINGS,
  STORE,
  STORE_TIME,
  type StoreTimeSource,
  UNIT_OF_WORK,
} from '../runtime.js';
import type { ServiceHolds } from '../service-holds/service-holds.js';
import type { Clock } from '../time/clock.js';
import { ClusterFacts } from './cluster-facts.js';
import { Collection } from './collection.js';
import { ensureDecoy } from './decoy.js';
import { PairingHousekeeping } from './housekeeping.js';
import { HousekeepingSchedule } from './housekeeping-schedule.js';
import { NodeServiceController } from './node-service.controller.js';
import { PairingCodes } from './pairing-codes.js';
import { PairingController } from './pairing.controller.js';
import { PairingDecisions } from './pairing-decisions.js';
import { PairingQueue } from './pairing-queue.js';
import { PairingServer } from './pairing-server.js';
import { RequestChanges } from './request-changes.js';
import { RequestWatch } from './request-watch.js';
import { StartLimits } from './start-limits.js';

/** Codes, handshake, queue, decisions and collection. */
@Module({
  imports: [IdentityModule],
  controllers: [PairingController, NodeServiceController],
  providers: [
    RequestChanges,
    {
      provide: ClusterFacts,
      inject: [CertificateAuthority, STORE_TIME, SETTINGS, DoorAddresses],
      useFactory: (
        authority: CertificateAuthority,
        store: StoreTimeSource,
        { cluster }: Settings,
        doors: DoorAddresses,
      ): ClusterFacts =>
        new ClusterFacts({
          trustBundle: () => authority.trustBundle(),
          storeTime: () => store.storeTime(),
          grpcEndpoints: () => advertisedEndpoints(cluster.advertiseGrpc, cluster.serverNames, doors.grpc),
          quicEndpoints: () => advertisedEndpoints(cluster.advertiseQuic, cluster.serverNames, doors.quic),
        }),
    },
    {
      provide: PairingCodes,
      inject: [UNIT_OF_WORK, COMMITTED_READER, CLOCK, SETTINGS, CertificateAuthority, ClusterFacts],
      useFactory: (
        unitOfWork: UnitOfWork,
        committed: CommittedReader,
        clock: Clock,
        { pairing }: Settings,
        authority: CertificateAuthority,
        cluster: ClusterFacts,
      ): PairingCodes =>
        new PairingCodes({
          unitOfWork,
          committed,
          clock,
          random: systemRandomBytes,
          caKeyHash: () => authority.caKeyHash(),
          defaultEndpoint: () => cluster.grpcEndpoints()[0] ?? '',
          separateApprover: pairing.separateApprover === 'yes',
        }),
    },
    {
      provide: PairingServer,
      inject: [
        UNIT_OF_WORK,
        COMMITTED_READER,
        CLOCK,
        SETTINGS,
        ClusterFacts,
        PairingDecisions,
        RequestChanges,
      ],
      useFactory: async (
        unitOfWork: UnitOfWork,
        committed: CommittedReader,
        clock: Clock,
        { pairing }: Settings,
        cluster: ClusterFacts,
        decisions: PairingDecisions,
        changes: RequestChanges,
      ): Promise<PairingServer> => {
        await unitOfWork.run((unit) => ensureDecoy(unit, systemRandomBytes));
        const { startsPerMinute, startsPerMinutePerAddress, maxHandshakes: handshakes } = pairing;
        return new PairingServer({
          unitOfWork,
          committed,
          clock,
          random: systemRandomBytes,
          limits: new StartLimits({ startsPerMinute, startsPerMinutePerAddress, handshakes }, clock),
          decisions,
          changes,
          welcomeFields: () => cluster.welcomeFields(),
          requestTtlMs: pairing.requestTtl,
        });
      },
    },
    {
      provide: PairingQueue,
      inject: [COMMITTED_READER, CLOCK],
      useFactory: (committed: CommittedReader, clock: Clock): PairingQueue =>
        new PairingQueue(committed, clock),
    },
    {
      provide: RequestWatch,
      inject: [PairingQueue, STORE],
      useFactory: (queue: PairingQueue, store: Store): RequestWatch =>
        new RequestWatch({
          queue,
          entries: (options) => store.auditLog.entries(options),
          storeTime: () => store.storeTime(),
          onCommit: (listener) => store.onCommit(listener),
        }),
    },
    {
      provide: PairingDecisions,
      inject: [
        UNIT_OF_WORK,
        CLOCK,
        SETTINGS,
        CertificateAuthority,
        RequestChanges,
        DeviceConnections,
        Metrics,
      ],
      useFactory: (
        unitOfWork: UnitOfWork,
        clock: Clock,
        { cluster, pairing }: Settings,
        authority: CertificateAuthority,
        changes: RequestChanges,
        connections: DeviceConnections,
        observer: Metrics,
      ): PairingDecisions =>
        new PairingDecisions({
          unitOfWork,
          clock,
          authority,
          changes,
          connections,
          observer,
          certificateLifetimeMs: cluster.certValidity,
          separateApprover: pairing.separateApprover === 'yes',
        }),
    },
    {
      provide: PairingHousekeeping,
      inject: [UNIT_OF_WORK, COMMITTED_READER, CLOCK, RequestChanges, Metrics, SERVICE_HOLDS],
      useFactory: (
        unitOfWork: UnitOfWork,
        committed: CommittedReader,
        clock: Clock,
        changes: RequestChanges,
        observer: Metrics,
        holds: ServiceHolds,
      ): PairingHousekeeping =>
        new PairingHousekeeping({ unitOfWork, committed, clock, changes, observer, holds }),
    },
    {
      provide: Collection,
      inject: [
        UNIT_OF_WORK,
        COMMITTED_READER,
        CLOCK,
        RequestChanges,
        PairingHousekeeping,
        CertificateAuthority,
        SERVICE_HOLDS,
      ],
      useFactory: (
        unitOfWork: UnitOfWork,
        committed: CommittedReader,
        clock: Clock,
        changes: RequestChanges,
        housekeeping: PairingHousekeeping,
        authority: CertificateAuthority,
        holds: ServiceHolds,
      ): Collection =>
        new Collection({
          unitOfWork,
          committed,
          clock,
          changes,
          housekeeping,
          chainOf: (leaf, issuerKeyId) => authority.chainOf(leaf, issuerKeyId),
          holds,
        }),
    },
    {
      provide: HousekeepingSchedule,
      inject: [PairingHousekeeping],
      useFactory: (housekeeping: PairingHousekeeping): HousekeepingSchedule => {
        const logger = new Logger('PairingHousekeeping');
        return new HousekeepingSchedule(housekeeping, (error) => {
          logger.error('a round of housekeeping failed; it will be tried again', error);
        });
      },
    },
  ],
  exports: [ClusterFacts],
})
export class PairingModule {}
