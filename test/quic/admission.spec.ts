import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { verifyDeviceChain } from '../../src/ca/chain-verification.js';
import { systemClock } from '../../src/time/clock.js';
import { TestCa, type TestDevice } from '../ca/test-ca.js';
import { certificateOf, eventually, gate, TestDoor } from './quic-door.js';

describe('who is let in over QUIC', () => {
  let ca: TestCa;
  let door: TestDoor;
  let callsBefore: number;

  beforeAll(async () => {
    ca = await TestCa.create();
    door = await TestDoor.open(ca);
  });

  beforeEach(() => {
    callsBefore = door.handler.calls;
  });

  afterAll(async () => {
    await door.close();
  });

  afterEach(async () => {
    await door.disconnect();
    await eventually(() => door.endpoint.admittedConnections === 0);
  });

  const expectNothingServed = (): void => {
    expect(door.handler.calls).toBe(callsBefore);
  };

  it('answers node.health of an enrolled device and notes its first admission', async () => {
    const device = await door.enrolled();
    const client = await door.connect(device);
    const response = await client.health();
    expect(response).toEqual({
      protocol_version: 1,
      kind: 'health',
      ok: true,
      node_rpc_mtls_required: true,
      result: { device_id: device.deviceId },
    });
    expect(door.endpoint.openConnections(device.deviceId)).toBe(1);
    expect(door.registry.noted).toContain(`${device.deviceId} ${device.fingerprint}`);
    await client.close();
    await eventually(() => door.endpoint.openConnections(device.deviceId) === 0);
  });

  it('takes Ed25519 certificates', async () => {
    const device = await ca.device({ algorithm: 'ed25519' });
    door.registry.enrol(device);
    expect(await door.attempt(device)).toBe('answered');
  });

  it('refuses a client without a certificate', async () => {
    expect(await door.attempt(undefined)).toBe('CERTIFICATE_REQUIRED');
    expectNothingServed();
  });

  it('refuses a certificate of a wholly foreign CA', async () => {
    const stranger = await (await TestCa.create()).device();
    expect(await door.attempt(stranger)).toMatch(/UNKNOWN_CA|DECRYPT_ERROR/);
    expectNothingServed();
  });

  /** TLS alerts where quiche's own check speaks first, our "not admitted" where only the whole rule does. */
  it.each([
    ['foreign_ca', /^(UNKNOWN_CA|DECRYPT_ERROR)$/],
    ['expired', /^CERTIFICATE_EXPIRED$/],
    ['not_yet_valid', /^CERTIFICATE_EXPIRED$/],
    ['server_auth_only', /^UNSUPPORTED_CERTIFICATE$/],
    ['no_eku', /^NOT_ADMITTED$/],
    ['both_ekus', /^NOT_ADMITTED$/],
    ['no_san', /^NOT_ADMITTED$/],
    ['two_uris', /^NOT_ADMITTED$/],
    ['control_plane_uri', /^NOT_ADMITTED$/],
    ['other_trust_domain', /^NOT_ADMITTED$/],
  ] as const)('refuses %s', async (name, reason) => {
    const device = await door.enrolled();
    const hostile = await ca.hostile(name, device.deviceId);
    expect(await door.attempt(hostile)).toMatch(reason);
    expectNothingServed();
    const last = door.observer.events
      .filter(({ event }) => event === 'refused' || event === 'handshake_failed')
      .at(-1);
    if (last?.event === 'refused') expect(last.detail).toBe(hostile.reason);
    else expect(last?.event).toBe('handshake_failed');
  });

  it.each([
    ['a device that is not in the registry', 'unknown_device', () => ca.device()],
    ['a suspended device', 'suspended', () => door.enrolled({ suspendedAt: 1 })],
    [
      'a certificate that is not the current one',
      'certificate_not_current',
      async (): Promise<TestDevice> => {
        const device = await ca.device();
        door.registry.enrol(device, { current: certificateOf(await ca.device()) });
        return device;
      },
    ],
    [
      'a previous certificate after the overlap',
      'certificate_not_current',
      async (): Promise<TestDevice> => {
        const device = await ca.device();
        const newer = certificateOf(await ca.device(), { firstAdmittedAt: Date.now() - 61_000 });
        door.registry.enrol(device, { current: newer, previous: certificateOf(device) });
        return device;
      },
    ],
  ])('refuses %s', async (_name, reason, make) => {
    const before = door.observer.count(`refused.${reason}`);
    expect(await door.attempt(await make())).toBe('NOT_ADMITTED');
    expect(door.observer.count(`refused.${reason}`)).toBe(before + 1);
    expectNothingServed();
  });

  it('refuses when the registry cannot be read', async () => {
    const device = await door.enrolled();
    door.registry.beforeRead = () => Promise.reject(new Error('disk'));
    expect(await door.attempt(device)).toBe('NOT_ADMITTED');
    door.registry.beforeRead = () => Promise.resolve();
    expect(door.observer.count('refused.identity_unreadable')).toBe(1);
    expectNothingServed();
  });

  it('closes what only a root that was taken out had let in, and nothing else', async () => {
    const { roots, trustDomain } = ca.bundle;
    let trusted = roots;
    const rotated = await TestDoor.open(ca, {
      parts: { verifyChain: (chain, now) => verifyDeviceChain(chain, trusted, now, trustDomain) },
    });
    const client = await rotated.connect(await rotated.enrolled());
    await client.health();
    expect(rotated.endpoint.devices.closeUntrusted()).toBe(0);
    await client.health();
    trusted = (await TestCa.create()).bundle.roots;
    expect(rotated.endpoint.devices.closeUntrusted()).toBe(1);
    expect((await client.closed).error).toMatchObject({ kind: 'unauthenticated', reason: 'REVOKED' });
    await rotated.close();
  });

  it('closes what a revoked device has open and refuses its next handshake', async () => {
    const device = await door.enrolled();
    const client = await door.connect(device);
    await client.health();
    door.registry.identities.delete(device.deviceId);
    expect(door.endpoint.closeDevice(device.deviceId, 'revoked')).toBe(1);
    expect((await client.closed).error).toMatchObject({ kind: 'unauthenticated', reason: 'REVOKED' });
    await expect(client.health()).rejects.toMatchObject({ reason: 'REVOKED' });
    callsBefore = door.handler.calls;
    expect(await door.attempt(device)).toBe('NOT_ADMITTED');
    expectNothingServed();
  });

  it.each(['beforeRead', 'afterRead'] as const)(
    'a revocation while admission waits (%s) ends it',
    async (step) => {
      const device = await door.enrolled();
      const reached = gate();
      const blocked = gate();
      door.registry[step] = async () => {
        reached.open();
        await blocked.passed;
      };
      const client = await door.connect(device);
      const answer = client.health().catch((error: unknown) => error);
      await reached.passed;
      door.registry.identities.delete(device.deviceId);
      expect(door.endpoint.openConnections(device.deviceId)).toBe(0);
      expect(door.endpoint.closeDevice(device.deviceId, 'revoked')).toBe(1);
      blocked.open();
      door.registry[step] = () => Promise.resolve();
      expect(await answer).toMatchObject({ reason: 'REVOKED' });
      expect(door.endpoint.openConnections(device.deviceId)).toBe(0);
      expect(door.endpoint.admittedConnections).toBe(0);
      expect(door.registry.noted.some((note) => note.startsWith(device.deviceId))).toBe(false);
      expectNothingServed();
    },
  );

  it('reads no stream while admission waits', async () => {
    const friend = await door.connect(await door.enrolled());
    await friend.health();
    const reached = gate();
    const blocked = gate();
    door.registry.beforeRead = async () => {
      reached.open();
      await blocked.passed;
    };
    const client = await door.connect(await door.enrolled());
    const answer = client.health();
    await reached.passed;
    callsBefore = door.handler.calls;
    // Both clients' datagrams wait in one queue: what the friend sends later is read later.
    await friend.health();
    await friend.health();
    expect(door.handler.calls).toBe(callsBefore + 2);
    blocked.open();
    door.registry.beforeRead = () => Promise.resolve();
    expect((await answer).ok).toBe(true);
    expect(door.handler.calls).toBe(callsBefore + 3);
  });

  it('ends a connection with its certificate', async () => {
    const device = await ca.device();
    door.registry.enrol(device, { current: certificateOf(device, { expiresAt: Date.now() + 300 }) });
    const client = await door.connect(device);
    await client.health();
    expect((await client.closed).error.reason).toBe('EXPIRED');
  });

  it('lets the previous certificate live through the overlap, and its connection no longer', async () => {
    const old = await ca.device();
    const newest = await ca.device({ deviceId: old.deviceId });
    const current = certificateOf(newest, { firstAdmittedAt: Date.now() - 60_000 + 300 });
    door.registry.enrol(newest, { current, previous: certificateOf(old) });
    const client = await door.connect(old);
    await client.health();
    expect((await client.closed).error.reason).toBe('SUPERSEDED');
  });

  it('ends the connection of the certificate before, when the overlap is over', async () => {
    let ahead = 0;
    const clock = { now: () => Date.now() + ahead, monotonic: () => systemClock.monotonic() };
    const own = await TestDoor.open(ca, { parts: { clock } });
    const old = await ca.device();
    own.registry.enrol(old);
    const older = await own.connect(old);
    await older.health();
    const newest = await ca.device({ deviceId: old.deviceId });
    own.registry.enrol(newest, { previous: certificateOf(old) });
    const newer = await own.connect(newest);
    await newer.health();

    ahead = 59_000;
    expect((await older.health()).ok).toBe(true);
    ahead = 61_000;
    await expect(older.health()).rejects.toMatchObject({ reason: 'SUPERSEDED' });
    expect((await newer.health()).ok).toBe(true);
    await own.close();
  });

  it('does not touch the new connection when the old one ends', async () => {
    const device = await door.enrolled();
    const older = await door.connect(device);
    await older.health();
    const newer = await door.connect(device);
    await newer.health();
    await older.close();
    await eventually(() => door.endpoint.openConnections(device.deviceId) === 1);
    expect((await newer.health()).ok).toBe(true);
    await newer.close();
  });
});
