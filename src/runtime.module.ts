import { type DynamicModule, Global, Module } from '@nestjs/common';
import { DoorAddresses } from './door-addresses.js';
import {
  CLOCK,
  CLOCK_WATCH,
  COMMITTED_READER,
  type Runtime,
  SERVICE_HOLDS,
  SETTINGS,
  STORE,
  STORE_TIME,
  UNIT_OF_WORK,
} from './runtime.js';

/** Hands what was opened before the application to every module. */
@Global()
@Module({})
export class RuntimeModule {
  static of(runtime: Runtime): DynamicModule {
    const providers = [
      { provide: SETTINGS, useValue: runtime.settings },
      { provide: STORE, useValue: runtime.store },
      { provide: CLOCK, useValue: runtime.clock },
      { provide: UNIT_OF_WORK, useValue: runtime.store.unitOfWork },
      { provide: COMMITTED_READER, useValue: runtime.store.committed },
      { provide: STORE_TIME, useValue: runtime.store },
      { provide: SERVICE_HOLDS, useValue: runtime.holds },
      { provide: CLOCK_WATCH, useValue: runtime.clockWatch },
      { provide: DoorAddresses, useValue: new DoorAddresses() },
    ];
    return { module: RuntimeModule, providers, exports: providers.map((provider) => provider.provide) };
  }
}
