import { Global, Logger, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { Settings } from '../config/settings.js';
import type { CommittedReader, UnitOfWork } from '../database/unit-of-work.js';
import { DeviceConnections } from '../quic/device-connections.js';
import { CLOCK, COMMITTED_READER, SETTINGS, UNIT_OF_WORK } from '../runtime.js';
import type { Clock } from '../time/clock.js';
import { PresenceController } from './presence.controller.js';
import { Presence } from './presence.js';

/** Presence of devices, for the registry's answers and the QUIC door. */
@Global()
@Module({
  controllers: [PresenceController],
  providers: [
    {
      provide: Presence,
      inject: [UNIT_OF_WORK, COMMITTED_READER, CLOCK, DeviceConnections, SETTINGS],
      useFactory: (
        unitOfWork: UnitOfWork,
        committed: CommittedReader,
        clock: Clock,
        connections: DeviceConnections,
        { quic }: Settings,
      ): Presence => {
        const logger = new Logger('Presence');
        return new Presence({
          unitOfWork,
          committed,
          clock,
          connections,
          intervalMs: quic.presenceInterval,
          onFailure: (error) => {
            logger.error(
              'it could not be written down which devices are there; it will be tried again',
              error,
            );
          },
        });
      },
    },
  ],
  exports: [Presence],
})
export class PresenceModule implements OnModuleInit, OnApplicationShutdown {
  constructor(private readonly presence: Presence) {}

  onModuleInit(): void {
    this.presence.start();
  }

  /** By now the doors are closed, and the store is not. */
  async onApplicationShutdown(): Promise<void> {
    await this.presence.stop();
  }
}
