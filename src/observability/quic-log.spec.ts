import { describe, expect, it } from '@jest/globals';
import type { QuicEvent } from '../quic/quic-observer.js';
import { ManualClock } from '../time/clock.js';
import { createLogger } from './logger.js';
import { LINES_A_MINUTE, QuicLog } from './quic-log.js';

const refused = (deviceId: string | undefined): QuicEvent => ({
  event: 'refused',
  reason: 'unknown_device',
  detail: 'no identity',
  deviceId,
  remote: '192.0.2.1:4433',
});

describe('QuicLog', () => {
  const clock = new ManualClock(0);
  const lines: { event: string; deviceId?: string; lines?: number }[] = [];
  const sink = { write: (line: string): number => lines.push(JSON.parse(line) as never) };
  const log = new QuicLog(createLogger({ level: 'info', format: 'json', sink }), clock);

  it('writes so many lines a minute of one device, and then how many were left out', () => {
    for (let i = 0; i < LINES_A_MINUTE + 5; i++) log.observe(refused('bad'));
    log.observe(refused('other'));
    log.observe(refused(undefined));
    expect(lines.filter(({ deviceId }) => deviceId === 'bad')).toHaveLength(LINES_A_MINUTE);
    expect(lines).toHaveLength(LINES_A_MINUTE + 2);
    clock.advance(60_000);
    log.observe(refused('bad'));
    expect(lines.slice(-2)).toEqual([
      expect.objectContaining({ event: 'quic_lines_left_out', deviceId: 'bad', lines: 5 }),
      expect.objectContaining({ event: 'quic_refused', deviceId: 'bad' }),
    ]);
  });

  it('leaves out no failure', () => {
    const before = lines.length;
    const failure = { event: 'failure', where: 'a test', error: new Error('broken') } as const;
    for (let i = 0; i < LINES_A_MINUTE + 5; i++) log.observe(failure);
    expect(lines).toHaveLength(before + LINES_A_MINUTE + 5);
  });
});
