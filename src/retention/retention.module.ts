import { join } from 'node:path';
import { Logger, Module } from '@nestjs/common';
import type { Settings } from '../config/settings.js';
import type { Store } from '../database/open-store.js';
import { CLOCK, SERVICE_HOLDS, SETTINGS, STORE } from '../runtime.js';
import type { ServiceHolds } from '../service-holds/service-holds.js';
import type { Clock } from '../time/clock.js';
import { AuditPruner } from './audit-pruner.js';
import { CertificatePruner } from './certificate-pruner.js';
import { Retention } from './retention.js';
import { RetentionController } from './retention.controller.js';

/** Removal of what has served its time. */
@Module({
  controllers: [RetentionController],
  providers: [
    {
      provide: Retention,
      inject: [STORE, CLOCK, SETTINGS, SERVICE_HOLDS],
      useFactory: (
        store: Store,
        clock: Clock,
        { retention, store: { dataDir } }: Settings,
        holds: ServiceHolds,
      ): Retention => {
        const logger = new Logger('Retention');
        const directory = retention.auditDirectory ?? join(dataDir, 'audit');
        return new Retention({
          clock,
          holds,
          everyMs: retention.interval,
          pruners: [
            new CertificatePruner(store.unitOfWork, store.committed, retention.certificates),
            new AuditPruner({ store, directory, keptForMs: retention.audit }),
          ],
          onFailure: (error) => {
            logger.error('a round of pruning failed; it will be tried again', error);
          },
        });
      },
    },
  ],
})
export class RetentionModule {}
