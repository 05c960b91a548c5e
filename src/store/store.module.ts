import { Module } from '@nestjs/common';
import { StoreController } from './store.controller.js';

/** What admins do to the store; the store itself is opened before the application is made. */
@Module({ controllers: [StoreController] })
export class StoreModule {}
