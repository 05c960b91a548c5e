import { type DynamicModule, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD } from '@nestjs/core';
import { AuditModule } from './audit/audit.module.js';
import { CaModule } from './ca/ca.module.js';
import { CrlModule } from './ca/crl/crl.module.js';
import { InventoryModule } from './ca/inventory/inventory.module.js';
import { RotationModule } from './ca/rotation/rotation.module.js';
import { CallerGuard } from './grpc/caller.guard.js';
import { DomainErrorFilter } from './grpc/domain-error.filter.js';
import { FAILURE_LOG, type FailureLog } from './grpc/failure-log.js';
import { DeviceEventsModule } from './device-events/device-events.module.js';
import { IdentityModule } from './identity/identity.module.js';
import { ObservabilityModule, type ObservabilityParts } from './observability/observability.module.js';
import { StatusController } from './observability/status.controller.js';
import { OperatorsModule } from './operators/operators.module.js';
import { PairingModule } from './pairing/pairing.module.js';
import { PresenceModule } from './presence/presence.module.js';
import { QuicModule } from './quic/quic.module.js';
import { RetentionModule } from './retention/retention.module.js';
import type { Runtime } from './runtime.js';
import { RuntimeModule } from './runtime.module.js';
import { BackupModule } from './store/backup.module.js';
import type { DataKeyObserver } from './store/data-key-change.js';
import { StoreModule } from './store/store.module.js';
import { TimeModule } from './time/time.module.js';

/** What the application is handed when it is made. */
export interface AppParts extends ObservabilityParts {
  readonly runtime: Runtime;
  readonly failures: FailureLog;
  readonly dataKeyObserver: DataKeyObserver;
}

/** The whole service; one filter and one guard for all doors. */
@Module({
  imports: [
    CaModule,
    QuicModule,
    DeviceEventsModule,
    PresenceModule,
    OperatorsModule,
    IdentityModule,
    PairingModule,
    AuditModule,
    BackupModule,
    TimeModule,
    InventoryModule,
    RetentionModule,
  ],
  controllers: [StatusController],
})
export class AppModule {
  static of(parts: AppParts): DynamicModule {
    return {
      module: AppModule,
      imports: [
        RuntimeModule.of(parts.runtime),
        ObservabilityModule.of(parts),
        StoreModule.of(parts.dataKeyObserver),
        CrlModule.of(parts.failures),
        RotationModule.of(parts.failures),
      ],
      providers: [
        { provide: FAILURE_LOG, useValue: parts.failures },
        { provide: APP_FILTER, useClass: DomainErrorFilter },
        { provide: APP_GUARD, useClass: CallerGuard },
      ],
    };
  }
}
