import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Presence } from '../../src/presence/presence.js';
import { ManualClock } from '../../src/time/clock.js';
import { TemporaryStore } from '../store/temporary-store.js';

const [HERE, GONE, NEVER] = [
  '01K9ZAYT3M4V5W6X7Y8Z9ABCDE',
  '01K9ZAYT3M4V5W6X7Y8Z9ABCDF',
  '01K9ZAYT3M4V5W6X7Y8Z9ABCDG',
] as const;
const NOW = 1_780_000_000_000;

let temporary: TemporaryStore;
let clock: ManualClock;
let online: string[];
let commits: number;
let failures: unknown[];
let isBroken: boolean;
let presence: Presence;

beforeEach(async () => {
  clock = new ManualClock(NOW);
  temporary = await TemporaryStore.open({ clock });
  online = [];
  commits = 0;
  failures = [];
  isBroken = false;
  presence = newPresence();
});

afterEach(async () => {
  await temporary.remove();
});

function newPresence(): Presence {
  const { unitOfWork, committed } = temporary.store;
  return new Presence({
    unitOfWork: {
      run: (work) => {
        commits += 1;
        return isBroken ? Promise.reject(new Error('the disk is full')) : unitOfWork.run(work);
      },
    },
    committed,
    clock,
    connections: {
      get connectedDevices() {
        return online;
      },
    },
    intervalMs: 60_000,
    onFailure: (error) => failures.push(error),
  });
}

const lastSeen = async (deviceId: string): Promise<number | undefined> =>
  (await presence.of([deviceId])).get(deviceId)?.lastSeenAt;

const closed = (deviceId: string | undefined, wasAdmitted = true): void => {
  presence.observe({ event: 'closed', deviceId, wasAdmitted, by: 'peer', code: 0, remote: '192.0.2.1:1' });
};

describe('presence', () => {
  it('is written for all that are there and have gone, in one unit of work', async () => {
    online = [HERE];
    closed(GONE);
    clock.advance(5_000);
    await presence.write();
    expect(commits).toBe(1);
    expect(await lastSeen(HERE)).toBe(NOW + 5_000);
    expect(await lastSeen(GONE)).toBe(NOW);
    expect(await lastSeen(NEVER)).toBeUndefined();
    await temporary.reopen();
    presence = newPresence();
    expect(await lastSeen(GONE)).toBe(NOW);
  });

  it('knows who has just gone before that is written, and whoever was not let in was not there', async () => {
    closed(GONE);
    closed(NEVER, false);
    closed(undefined);
    expect(await lastSeen(GONE)).toBe(NOW);
    await presence.write();
    expect(await lastSeen(NEVER)).toBeUndefined();
    await presence.write();
    expect(commits).toBe(1);
  });

  it('of a device that came back is not set by the end of its old connection', async () => {
    online = [HERE];
    closed(HERE);
    clock.advance(1_000);
    await presence.write();
    expect(await lastSeen(HERE)).toBe(NOW + 1_000);
  });

  it('is written in pieces', async () => {
    online = Array.from({ length: 500 }, (_, index) => `device-${String(index)}`);
    await presence.write();
    expect(commits).toBe(3);
    expect(await lastSeen('device-499')).toBe(NOW);
  });

  it('is told and kept when it cannot be written', async () => {
    closed(GONE);
    isBroken = true;
    await presence.write();
    expect(failures).toHaveLength(1);
    isBroken = false;
    clock.advance(60_000);
    await presence.write();
    await temporary.reopen();
    presence = newPresence();
    expect(await lastSeen(GONE)).toBe(NOW);
  });

  it('says what a device says of itself, once', async () => {
    const claims = { platform: 'linux', capabilities: ['camera'] };
    expect(await presence.register(HERE, claims)).toEqual({ ...claims, registeredAt: NOW });
    clock.advance(1);
    expect(await presence.register(HERE, claims)).toEqual({ ...claims, registeredAt: NOW });
    expect(commits).toBe(1);
    await expect(presence.register(HERE, { ...claims, capabilities: [] })).rejects.toMatchObject({
      reason: 'TOO_MANY_REGISTRATIONS',
    });
    online = [HERE];
    await presence.write();
    expect((await presence.of([HERE])).get(HERE)).toEqual({
      lastSeenAt: NOW + 1,
      registration: { ...claims, registeredAt: NOW },
    });
    clock.advance(5_000);
    expect(await presence.register(HERE, { ...claims, platform: 'bsd' })).toMatchObject({ platform: 'bsd' });
    expect(await lastSeen(HERE)).toBe(NOW + 1);
  });
});
