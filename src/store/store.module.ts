import { type DynamicModule, Module } from '@nestjs/common';
import { DataKeys } from '../database/data-keys.js';
import type { Store } from '../database/open-store.js';
import { systemRandomBytes } from '../random/random-bytes.js';
import { STORE } from '../runtime.js';
import { DataKeyChange, type DataKeyObserver } from './data-key-change.js';
import { StoreController } from './store.controller.js';

/** What admins do to the store; the store itself is opened before the application is made. */
@Module({ controllers: [StoreController] })
export class StoreModule {
  static of(observer: DataKeyObserver): DynamicModule {
    return {
      module: StoreModule,
      providers: [
        {
          provide: DataKeyChange,
          inject: [STORE],
          useFactory: ({ keyring, unitOfWork, committed }: Store): DataKeyChange =>
            new DataKeyChange(new DataKeys(keyring, unitOfWork, committed, systemRandomBytes), observer),
        },
      ],
    };
  }
}
