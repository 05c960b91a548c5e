import { Module } from '@nestjs/common';
import { ClockController } from './clock.controller.js';

/** What operators see of the clock; the watch over it begins before the application is made. */
@Module({ controllers: [ClockController] })
export class TimeModule {}
