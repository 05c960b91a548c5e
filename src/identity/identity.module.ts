import { Module } from '@nestjs/common';
import { CertificateAuthority } from '../ca/certificate-authority.js';
import type { Settings } from '../config/settings.js';
import type { CommittedReader, UnitOfWork } from '../database/unit-of-work.js';
import { DeviceEventFeed } from '../device-events/device-event-feed.js';
import { DeviceConnections } from '../quic/device-connections.js';
import type { Store } from '../database/open-store.js';
import { CLOCK, COMMITTED_READER, SETTINGS, STORE, UNIT_OF_WORK } from '../runtime.js';
import type { Clock } from '../time/clock.js';
import { DevicesController } from './devices.controller.js';
import { IdentityManager } from './identity-manager.js';
import { NodeRenewalController } from './node-renewal.controller.js';
import { RefusalLimits } from './refusal-limits.js';
import { RenewalAllowance } from './renewal-allowance.js';
import { Renewals } from './renewals.js';

/** The registry of devices, and the renewal of their certificates. */
@Module({
  controllers: [DevicesController, NodeRenewalController],
  providers: [
    {
      provide: IdentityManager,
      inject: [UNIT_OF_WORK, COMMITTED_READER, CLOCK, DeviceConnections, DeviceEventFeed],
      useFactory: (
        unitOfWork: UnitOfWork,
        committed: CommittedReader,
        clock: Clock,
        connections: DeviceConnections,
        events: DeviceEventFeed,
      ): IdentityManager =>
        new IdentityManager({
          unitOfWork,
          committed,
          clock,
          connections,
          announceRevocation: (deviceId) => {
            events.announceRevocation(deviceId);
          },
        }),
    },
    {
      provide: Renewals,
      inject: [
        UNIT_OF_WORK,
        COMMITTED_READER,
        CLOCK,
        CertificateAuthority,
        DeviceConnections,
        SETTINGS,
        STORE,
      ],
      useFactory: (
        unitOfWork: UnitOfWork,
        committed: CommittedReader,
        clock: Clock,
        authority: CertificateAuthority,
        connections: DeviceConnections,
        { renewal, cluster }: Settings,
        { restore }: Store,
      ): Renewals =>
        new Renewals({
          unitOfWork,
          committed,
          clock,
          authority,
          connections,
          limits: new RefusalLimits(renewal.refusalsPerMinutePerAddress, clock),
          allowance: new RenewalAllowance(renewal.newPerHourPerDevice, cluster.certValidity, clock),
          policy: {
            returnGraceMs: renewal.returnGrace,
            onConflict: renewal.onConflict,
            restoredAt: restore?.restoredAt ?? null,
          },
          certificateLifetimeMs: cluster.certValidity,
        }),
    },
  ],
  exports: [IdentityManager, Renewals],
})
export class IdentityModule {}
