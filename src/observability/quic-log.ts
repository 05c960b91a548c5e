import type { QuicEvent, QuicObserver } from '../quic/quic-observer.js';
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

/** Writes what happens at the QUIC door, with the precise reason that the peer is not told. */
export class QuicLog implements QuicObserver {
  constructor(private readonly logger: Logger) {}

  observe(event: QuicEvent): void {
    const { event: name, ...facts } = event;
    const level = name === 'closed' && event.deviceId === undefined ? 'debug' : LEVEL_OF_EVENT[name];
    const { error, ...fields } = { error: undefined, ...facts };
    const cause = error === undefined ? {} : { err: error };
    this.logger[level]({ event: `quic_${name}`, ...fields, ...cause }, `quic: ${name.replaceAll('_', ' ')}`);
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
