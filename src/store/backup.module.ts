import { Module } from '@nestjs/common';
import type { Settings } from '../config/settings.js';
import type { Store } from '../database/open-store.js';
import { CLOCK, SERVICE_HOLDS, SETTINGS, STORE } from '../runtime.js';
import type { ServiceHolds } from '../service-holds/service-holds.js';
import type { Clock } from '../time/clock.js';
import { BackupController } from './backup.controller.js';
import { Quarantine } from './quarantine.js';
import { StoreBackups } from './store-backups.js';

/** Backups of the running store, and the quarantine of a restored one. */
@Module({
  controllers: [BackupController],
  providers: [
    {
      provide: StoreBackups,
      inject: [STORE, SETTINGS],
      useFactory: (store: Store, settings: Settings): StoreBackups =>
        new StoreBackups({ store, dataDir: settings.store.dataDir }),
    },
    {
      provide: Quarantine,
      inject: [STORE, CLOCK, SERVICE_HOLDS],
      useFactory: ({ unitOfWork, committed }: Store, clock: Clock, holds: ServiceHolds): Quarantine =>
        new Quarantine({ unitOfWork, committed, clock, holds }),
    },
  ],
  exports: [Quarantine],
})
export class BackupModule {}
