import { Global, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Store } from '../database/open-store.js';
import { CLOCK, STORE } from '../runtime.js';
import type { Clock } from '../time/clock.js';
import { DeviceEventFeed } from './device-event-feed.js';
import { DeviceEventLog } from './device-event-log.js';
import { DeviceEventStreams } from './device-event-stream.js';
import { DeviceEventsController } from './device-events.controller.js';

/** Events of devices; the registry announces revocations through the feed. */
@Global()
@Module({
  controllers: [DeviceEventsController],
  providers: [
    {
      provide: DeviceEventLog,
      inject: [STORE],
      useFactory: ({ committed }: Store): DeviceEventLog => new DeviceEventLog(committed),
    },
    {
      provide: DeviceEventFeed,
      inject: [DeviceEventLog, STORE],
      useFactory: (log: DeviceEventLog, store: Store): DeviceEventFeed => {
        const logger = new Logger('DeviceEvents');
        return new DeviceEventFeed({
          log,
          sequence: () => store.storeTime().sequence,
          onCommit: (listener) => store.onCommit(listener),
          onFailure: (error) => {
            logger.error('new events could not be read; the streams look for themselves', error);
          },
        });
      },
    },
    {
      provide: DeviceEventStreams,
      inject: [DeviceEventLog, DeviceEventFeed, STORE, CLOCK],
      useFactory: (
        log: DeviceEventLog,
        feed: DeviceEventFeed,
        store: Store,
        clock: Clock,
      ): DeviceEventStreams =>
        new DeviceEventStreams({ log, feed, clock, sequence: () => store.storeTime().sequence }),
    },
  ],
  exports: [DeviceEventFeed],
})
export class DeviceEventsModule implements OnApplicationShutdown {
  constructor(private readonly feed: DeviceEventFeed) {}

  onApplicationShutdown(): void {
    this.feed.close();
  }
}
