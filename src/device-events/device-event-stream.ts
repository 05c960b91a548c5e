import { News } from '../database/news.js';
import { wrongState } from '../errors/domain-error.js';
import type { Clock } from '../time/clock.js';
import { eventsLost, type DeviceEvent } from './device-event.js';
import type { DeviceEventFeed } from './device-event-feed.js';
import type { DeviceEventLog } from './device-event-log.js';

/** Events that are read at a time, and so the most that a stream holds in memory. */
const PAGE = 32;
/** A stream that was not woken looks all the same this often, milliseconds: an event may be late, but is not missed. */
const LOOK_AGAIN_MS = 60_000;

export interface DeviceEventStreamParts {
  readonly log: Pick<DeviceEventLog, 'events' | 'oldest'>;
  readonly feed: Pick<DeviceEventFeed, 'listen'>;
  readonly clock: Clock;
  /** Number of the last committed audit entry. */
  readonly sequence: () => number;
}

export interface FollowOptions {
  /** The last event that the device has; 0 for none. */
  readonly after: number;
  readonly signal: AbortSignal;
  /** Resolves once the reader has taken what was sent, or nobody reads any more. */
  readonly writable: () => Promise<void>;
  /** Sends an event past the stream, for the last one of a device that is revoked. */
  readonly sendNow: (event: DeviceEvent) => void;
}

/** The events of one device from a place on, then what comes, for as long as it listens. */
export class DeviceEventStreams {
  constructor(private readonly parts: DeviceEventStreamParts) {}

  /**
   * Reads on only when what it read before was taken, so a slow reader holds one page. Throws `wrong_state`
   * RESUME_FROM_AHEAD when the store was never so far: an older copy of it was put back.
   */
  async *follow(deviceId: string, options: FollowOptions): AsyncGenerator<DeviceEvent, void, undefined> {
    const { log, feed, clock, sequence } = this.parts;
    const { signal, writable, sendNow } = options;
    let { after } = options;
    // Before the first look: what is committed after that look wakes.
    const news = new News(
      (wake) =>
        feed.listen(deviceId, {
          wake,
          sayFarewell: () => {
            sendNow({
              sequence: sequence(),
              type: 'revocation_announced',
              timeMs: clock.now(),
              details: {},
            });
          },
        }),
      signal,
    );
    try {
      requireReached(after, sequence());
      const oldest = await log.oldest();
      if (after + 1 < oldest) {
        yield eventsLost(after, oldest - 1, clock.now());
        after = oldest - 1;
      }
      while (!signal.aborted) {
        const upTo = sequence();
        const page = await log.events(deviceId, { after, upTo }, PAGE);
        for (const event of page) {
          await writable();
          if (isAborted(signal)) return;
          yield event;
        }
        after = page.length < PAGE ? upTo : (page.at(-1)?.sequence ?? upTo);
        if (page.length < PAGE) await news.next(LOOK_AGAIN_MS);
      }
    } finally {
      news.close();
    }
  }
}

function requireReached(after: number, now: number): void {
  if (after <= now) return;
  throw wrongState(
    'RESUME_FROM_AHEAD',
    `no event has a number over ${now}: resume_from is wrong, or the store was set back to an older copy. Begin with resume_from 0; if that number came from this service, tell an operator`,
  );
}

/** Asked after an await, when it may have changed; the compiler believes that it cannot. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;
