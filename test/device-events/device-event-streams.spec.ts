import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AuditEntryRow } from '../../src/audit/audit.entity.js';
import type { AuditEvent } from '../../src/audit/audit-entry.js';
import { BUNDLE_ACTIONS, DEVICE_ACTIONS, type DeviceEvent } from '../../src/device-events/device-event.js';
import { DeviceEventFeed } from '../../src/device-events/device-event-feed.js';
import { DeviceEventLog } from '../../src/device-events/device-event-log.js';
import { DeviceEventStreams } from '../../src/device-events/device-event-stream.js';
import { systemClock } from '../../src/time/clock.js';
import { pick, type PseudoRandom, pseudoRandom } from '../pseudo-random.js';
import { announcedSeed, rounds } from '../scale.js';
import { plansOf } from '../store/query-plan.js';
import { TemporaryStore } from '../store/temporary-store.js';

const [MINE, OTHER] = ['01K9ZAYT3M4V5W6X7Y8Z9ABCDE', '01K9ZAYT3M4V5W6X7Y8Z9ABCDF'] as const;
const RENEWED = 'device.renewed';

/** Counts what is read out of the log. */
class CountingLog extends DeviceEventLog {
  read = 0;

  override async events(...options: Parameters<DeviceEventLog['events']>): Promise<DeviceEvent[]> {
    const events = await super.events(...options);
    this.read += events.length;
    return events;
  }
}

let temporary: TemporaryStore;
let log: CountingLog;
let feed: DeviceEventFeed;
let streams: DeviceEventStreams;
let failures: unknown[];
let open: AbortController;

beforeEach(async () => {
  temporary = await TemporaryStore.open();
  const { store } = temporary;
  failures = [];
  open = new AbortController();
  log = new CountingLog(store.committed);
  const sequence = (): number => store.storeTime().sequence;
  feed = new DeviceEventFeed({
    log,
    sequence,
    onCommit: (listener) => store.onCommit(listener),
    onFailure: (error) => failures.push(error),
  });
  streams = new DeviceEventStreams({ log, feed, clock: systemClock, sequence });
});

afterEach(async () => {
  open.abort();
  feed.close();
  await temporary.remove();
  expect(failures).toEqual([]);
});

const decide = (...events: readonly Partial<AuditEvent>[]): Promise<void> =>
  temporary.store.unitOfWork.run((unit) => {
    for (const event of events) {
      unit.audit.append({
        actor: 'system',
        source: 'local',
        action: RENEWED,
        subject: `device/${MINE}`,
        ...event,
      });
    }
    return Promise.resolve();
  });

interface Reader {
  readonly told: DeviceEvent[];
  next(): Promise<DeviceEvent>;
}

function follow(after: number, writable: () => Promise<void> = () => Promise.resolve()): Reader {
  const told: DeviceEvent[] = [];
  const events = streams.follow(MINE, {
    after,
    writable,
    signal: open.signal,
    sendNow: (event) => told.push(event),
  });
  return {
    told,
    async next() {
      const { value } = await events.next();
      if (value === undefined) throw new Error('the stream ended');
      told.push(value);
      return value;
    },
  };
}

describe('a stream of events', () => {
  it('tells what was committed, and nothing of a unit that was undone', async () => {
    const reader = follow(0);
    await decide({ details: { certificate: 'ab', parent: 'cd' }, reason: 'what only auditors may read' });
    const undone = temporary.store.unitOfWork.run((unit) => {
      unit.audit.append({ actor: 'x', source: 'x', action: 'device.revoked', subject: `device/${MINE}` });
      return Promise.reject(new Error('no'));
    });
    await expect(undone).rejects.toThrow('no');
    await decide({ action: 'device.suspended' });
    expect(await reader.next()).toMatchObject({
      type: 'certificate_renewed',
      details: { certificate: 'ab' },
    });
    expect(JSON.stringify(reader.told)).not.toMatch(/cd|auditors/);
    expect((await reader.next()).type).toBe('suspended');
  });

  it('holds one page for a reader that takes nothing, and goes on when it does', async () => {
    await decide(...Array.from({ length: 300 }, () => ({})));
    let take: () => void = () => undefined;
    let isBlocked = false;
    const reader = follow(0, () =>
      isBlocked ? new Promise((resolve) => (take = resolve)) : Promise.resolve(),
    );
    await reader.next();
    isBlocked = true;
    const waiting = reader.next();
    await decide({}, {}, {});
    expect(reader.told).toHaveLength(1);
    expect(log.read).toBeLessThanOrEqual(32);
    isBlocked = false;
    take();
    await waiting;
    while (reader.told.length < 303) await reader.next();
    const sequences = reader.told.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((one, other) => one - other));
  });

  it('says which events have left the database', async () => {
    await decide({}, {}, {}, {});
    const last = temporary.store.storeTime().sequence;
    await temporary.store.unitOfWork.run(async ({ tables }) => {
      await tables.delete(AuditEntryRow, { sequence: last - 3 });
      await tables.delete(AuditEntryRow, { sequence: last - 2 });
      for (let sequence = 1; sequence < last - 3; sequence += 1)
        await tables.delete(AuditEntryRow, { sequence });
    });
    const reader = follow(1);
    expect(await reader.next()).toMatchObject({
      type: 'events_lost',
      sequence: last - 2,
      details: { first: 2, last: last - 2 },
    });
    expect((await reader.next()).sequence).toBe(last - 1);
    // Nothing is lost for who has them.
    expect((await follow(last - 2).next()).sequence).toBe(last - 1);
  });

  it('is not begun behind what the store ever reached', async () => {
    await expect(follow(1_000_000).next()).rejects.toMatchObject({ reason: 'RESUME_FROM_AHEAD' });
  });

  it('is told of a revocation at once, past what it waits for', async () => {
    const reader = follow(0);
    const waiting = reader.next();
    // It listens from its first step on.
    await new Promise((resolve) => setImmediate(resolve));
    feed.announceRevocation(OTHER);
    expect(reader.told).toEqual([]);
    feed.announceRevocation(MINE);
    expect(reader.told).toMatchObject([{ type: 'revocation_announced' }]);
    await decide({});
    await waiting;
  });

  it('walks along an index, whatever else is in the log', async () => {
    await decide({});
    const plans = await plansOf(temporary.store, 'audit_entry', () =>
      log.events(MINE, { after: 0, upTo: 100 }, 10),
    );
    expect(plans).toHaveLength(2);
    for (const plan of plans) expect(plan).toMatch(/SEARCH entry USING INDEX audit_entry_subject/);
  });

  it('tells each event behind the place once, in order, whoever else decides what meanwhile', async () => {
    const count = rounds(40, 2_000);
    const random = pseudoRandom(announcedSeed('event streams', count));
    const expected: number[] = [];
    const readers: { after: number; reader: Reader }[] = [{ after: 0, reader: follow(0) }];
    for (let round = 0; round < count; round += 1) {
      const events = Array.from({ length: 1 + random(3) }, () => randomEvent(random));
      const first = temporary.store.storeTime().sequence + 1;
      await decide(...events);
      expected.push(...events.flatMap((event, index) => (isTold(event) ? [first + index] : [])));
      if (random(4) === 0) {
        const after = random(temporary.store.storeTime().sequence + 1);
        readers.push({ after, reader: follow(after) });
      }
      const { after, reader } = pick(random, readers);
      if (reader.told.length < expected.filter((sequence) => sequence > after).length) await reader.next();
    }
    await decide({ action: 'device.suspended' });
    expected.push(temporary.store.storeTime().sequence);
    for (const { after, reader } of readers) {
      const due = expected.filter((sequence) => sequence > after);
      while (reader.told.length < due.length) await reader.next();
      expect(reader.told.map(({ sequence }) => sequence)).toEqual(due);
    }
  });
});

const SUBJECTS = [`device/${MINE}`, `device/${OTHER}`, 'store'];
const ACTIONS = [...Object.keys(DEVICE_ACTIONS), 'pairing.rejected', 'pairing.collected'];

function randomEvent(random: PseudoRandom): { action: string; subject: string } {
  if (random(5) === 0)
    return { action: pick(random, [...BUNDLE_ACTIONS, 'ca.forgotten']), subject: 'ca/00ff' };
  return { action: pick(random, ACTIONS), subject: pick(random, SUBJECTS) };
}

const isTold = ({ action, subject }: { action: string; subject: string }): boolean =>
  BUNDLE_ACTIONS.includes(action) || (subject === `device/${MINE}` && Object.hasOwn(DEVICE_ACTIONS, action));
