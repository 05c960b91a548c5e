import { Module } from '@nestjs/common';
import type { CommittedReader, UnitOfWork } from '../database/unit-of-work.js';
import { DeviceConnections } from '../quic/device-connections.js';
import { CLOCK, COMMITTED_READER, UNIT_OF_WORK } from '../runtime.js';
import type { Clock } from '../time/clock.js';
import { DevicesController } from './devices.controller.js';
import { IdentityManager } from './identity-manager.js';

/** The registry of devices. */
@Module({
  controllers: [DevicesController],
  providers: [
    {
      provide: IdentityManager,
      inject: [UNIT_OF_WORK, COMMITTED_READER, CLOCK, DeviceConnections],
      useFactory: (
        unitOfWork: UnitOfWork,
        committed: CommittedReader,
        clock: Clock,
        connections: DeviceConnections,
      ): IdentityManager => new IdentityManager({ unitOfWork, committed, clock, connections }),
    },
  ],
  exports: [IdentityManager],
})
export class IdentityModule {}
