import { type DynamicModule, Global, Module } from '@nestjs/common';
import { DoorAddresses } from './door-addresses.js';
import { CLOCK, COMMITTED_READER, type Runtime, SETTINGS, STORE_TIME, UNIT_OF_WORK } from './runtime.js';

/** Hands what was opened before the application to every module. */
@Global()
@Module({})
export class RuntimeModule {
  static of(runtime: Runtime): DynamicModule {
    const providers = [
      { provide: SETTINGS, useValue: runtime.settings },
      { provide: CLOCK, useValue: runtime.clock },
      { provide: UNIT_OF_WORK, useValue: runtime.unitOfWork },
      { provide: COMMITTED_READER, useValue: runtime.committed },
      { provide: STORE_TIME, useValue: runtime.storeTime },
      { provide: DoorAddresses, useValue: new DoorAddresses() },
    ];
    return { module: RuntimeModule, providers, exports: providers.map((provider) => provider.provide) };
  }
}
