import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readIdentity } from '../../src/identity/enrolment.js';
import { PairingWorld, refusal } from './pairing-world.js';

let world: PairingWorld;
beforeEach(async () => {
  world = await PairingWorld.open();
});
afterEach(async () => {
  await world.remove();
});

const identityOf = (deviceId: string): ReturnType<typeof readIdentity> =>
  readIdentity(world.temporary.store.committed.secrets, deviceId);

describe('a device that is approved again', () => {
  it('keeps the certificate it works with, however often it is approved before it collects', async () => {
    const device = await world.paired();
    const working = await world.approve(device.requestId);
    await world.collectOnce(device.token);
    const ended: string[] = [];
    world.connections.enter(device.deviceId, {
      fingerprint: working.fingerprint,
      isAdmitted: true,
      end: (reason) => ended.push(reason),
      endBy: () => undefined,
      endIfUntrusted: () => false,
    });
    const requests = [await world.paired(device), await world.paired(device), await world.paired(device)];
    for (const request of requests) {
      const { fingerprint } = await world.approve(request.requestId);
      const identity = await identityOf(device.deviceId);
      expect(identity?.current?.fingerprint).toBe(fingerprint);
      expect(identity?.previous?.fingerprint).toBe(working.fingerprint);
    }
    expect(ended).toEqual([]);
    const states: string[] = [];
    for (const { token } of requests) states.push((await world.collectOnce(token)).state);
    expect(states).toEqual(['expired', 'expired', 'completed']);
    expect((await world.actions()).filter((action) => action === 'pairing.expired')).toHaveLength(2);
  });

  it('has one certificate to collect when it was approved twice and collected nothing', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    const again = await world.paired(device);
    const { fingerprint } = await world.approve(again.requestId);
    expect(await identityOf(device.deviceId)).toMatchObject({ current: { fingerprint }, previous: null });
    expect((await world.collectOnce(device.token)).state).toBe('expired');
    expect((await world.collectOnce(again.token)).state).toBe('completed');
  });

  it('cannot collect again what a newer certificate has superseded', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    await world.collectOnce(device.token);
    const again = await world.paired(device);
    expect((await world.collectOnce(device.token)).state).toBe('completed');
    await world.approve(again.requestId);
    expect((await refusal(world.collectOnce(device.token))).reason).toBe('NOTHING_TO_COLLECT');
    expect((await world.collectOnce(again.token)).state).toBe('completed');
  });
});
