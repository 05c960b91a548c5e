import type { QuicEvent, QuicObserver } from '../quic/quic-observer.js';
import { type Clock, systemClock } from '../time/clock.js';
import { LineAllowance } from './line-allowance.js';
import type { Logger } from './logger.js';

type Level = 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** What strangers can cause at will stays below the usual level: they could fill the disk. The metrics count it. */
const LEVEL_OF_EVENT: Readonly<Record<QuicEvent['event'], Level>> = {
  datagram_dropped: 'trace',
  send_failed: 'debug',
  socket_failed: 'error',
  handshake_turned_away: 'debug',
  handshake_timed_out: 'debug',
  handshake_failed: 'debug',
  admitted: 'info',
  refused: 'warn',
  closed: 'info',
  failure: 'error',
};

/** What a device can cause at will, one that was revoked too: its certificate gets it as far as the decision. */
const CAUSED_BY_DEVICES: ReadonlySet<QuicEvent['event']> = new Set(['admitted', 'refused', 'closed']);
/** Lines about one device in a minute. */
export const LINES_A_MINUTE = 60;

/**
 * Writes what happens at the QUIC door, with the precise reason that the peer is not told. Of a device that comes and goes
 * all the time it writes so many lines a minute and then how many were left out; the metrics count them all.
 */
export class QuicLog implements QuicObserver {
  readonly #allowance: LineAllowance<string | undefined>;

  constructor(
    private readonly logger: Logger,
    clock: Pick<Clock, 'monotonic'> = systemClock,
  ) {
    this.#allowance = new LineAllowance(LINES_A_MINUTE, clock, (deviceId, lines) => {
      logger.warn({ event: 'quic_lines_left_out', deviceId, lines }, 'quic: lines left out');
    });
  }

  observe(event: QuicEvent): void {
    const { event: name, ...facts } = event;
    const level = name === 'closed' && event.deviceId === undefined ? 'debug' : LEVEL_OF_EVENT[name];
    if (level !== 'debug' && CAUSED_BY_DEVICES.has(name) && !this.#mayWrite(event)) return;
    const { error, ...fields } = { error: undefined, ...facts };
    const cause = error === undefined ? {} : { err: error };
    this.logger[level]({ event: `quic_${name}`, ...fields, ...cause }, `quic: ${name.replaceAll('_', ' ')}`);
  }

  #mayWrite(event: QuicEvent): boolean {
    return this.#allowance.mayWrite('deviceId' in event ? event.deviceId : undefined);
  }
}

/** One observer out of several. */
export function observers(...all: readonly QuicObserver[]): QuicObserver {
  return {
    observe(event) {
      for (const each of all) {
        each.observe(event);
      }
    },
  };
}
