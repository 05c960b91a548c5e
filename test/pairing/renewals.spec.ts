import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CertificateRow } from '../../src/ca/certificate.entity.js';
import { verifyDeviceChain } from '../../src/ca/chain-verification.js';
import { makeCsr } from '../../src/ca/csr-maker.js';
import { newCertificateKey } from '../../src/client/device/device-keys.js';
import type { Unit } from '../../src/database/unit-of-work.js';
import { admittedUntil } from '../../src/identity/certificate-succession.js';
import type { DeviceIdentity } from '../../src/identity/device-identity.js';
import { newDeviceId } from '../../src/identity/device-id.js';
import { readIdentity } from '../../src/identity/enrolment.js';
import { noteFirstAdmission } from '../../src/identity/first-admission.js';
import type { RenewalInput } from '../../src/identity/renewal-request.js';
import type { Renewals } from '../../src/identity/renewals.js';
import { decideAdmission } from '../../src/quic/admission.js';
import type { ListedConnection } from '../../src/quic/device-connections.js';
import type { CloseReason } from '../../src/quic/node-connections.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { PairingWorld, admin, newTestDevice, refusal } from './pairing-world.js';
import { DEVICE_ADDRESS, RenewingDevice, fingerprintOf, renewalsOf } from './renewing-device.js';
import { newKeyPair } from '../../src/random/key-pair.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

let world: PairingWorld;
let renewals: Renewals;
let device: RenewingDevice;
beforeEach(async () => {
  world = await PairingWorld.open();
  renewals = renewalsOf(world);
  device = await RenewingDevice.enrolled(world);
});
afterEach(async () => {
  await world.remove();
});

const deviceId = (): string => device.of.deviceId;

async function identity(of = device): Promise<DeviceIdentity> {
  const found = await readIdentity(world.temporary.store.committed.secrets, of.of.deviceId);
  if (found === undefined) throw new Error('the device is not in the registry');
  return found;
}

/** What the QUIC door would say to a certificate of the device; `undefined` when it would let it in. */
async function refusedAtTheDoor(fingerprint: string): Promise<string | undefined> {
  const now = world.clock.now();
  const verdict = { ok: true, deviceId: deviceId(), fingerprint, notAfter: now + DAY_MS } as const;
  const decision = decideAdmission(verdict, await identity(), now);
  return decision.admitted ? undefined : decision.reason;
}

const send = (input: RenewalInput): Promise<unknown> => renewals.renew(input, DEVICE_ADDRESS);

/** Changes rows behind the back of everybody. */
const inIndex = (change: (tables: Unit['tables']) => Promise<unknown>): Promise<unknown> =>
  world.temporary.store.unitOfWork.run(({ tables }) => change(tables));

const newCsr = (): Buffer => makeCsr(newCertificateKey());

/** A connection as its device's list knows it; remembers how it was ended, and what was committed then. */
class OpenConnection implements ListedConnection {
  readonly isAdmitted = true;
  endedFor: CloseReason | undefined;
  atTheEnd: Promise<DeviceIdentity> | undefined;

  constructor(readonly fingerprint: string) {
    world.connections.enter(deviceId(), this);
  }

  end(reason: CloseReason): void {
    this.endedFor = reason;
    this.atTheEnd = identity();
  }

  endIfUntrusted(): boolean {
    return false;
  }

  endBy(): void {
    throw new Error('nobody asked for this');
  }
}

describe('a renewal', () => {
  it('issues a certificate for the new key, and keeps the old one for the overlap', async () => {
    const first = device.newest;
    world.clock.advance(16 * HOUR_MS);
    const { chain, issuedAt, expiresAt } = await device.renew(world, renewals);

    const now = world.clock.now();
    const { roots, trustDomain } = world.authority.trustBundle();
    expect(chain.slice(1)).toEqual(roots);
    expect(verifyDeviceChain(chain, roots, now, trustDomain)).toMatchObject({
      ok: true,
      deviceId: deviceId(),
    });
    expect({ issuedAt, expiresAt }).toEqual({ issuedAt: now, expiresAt: now + DAY_MS });
    expect(await identity()).toMatchObject({
      current: { fingerprint: device.newest },
      previous: { fingerprint: first },
    });
    await noteFirstAdmission(
      { unitOfWork: world.temporary.store.unitOfWork, clock: world.clock },
      deviceId(),
      device.newest,
    );
    expect(admittedUntil(await identity(), first)).toBe(now + MINUTE_MS);
    expect((await world.identities.get(deviceId())).row.certificateFingerprint).toBe(device.newest);
  });

  it('is audited once, with what it took the place of', async () => {
    const parent = device.newest;
    await device.renew(world, renewals, true);
    await device.renew(world, renewals);
    const entries = await world.temporary.store.auditLog.entries({ after: 0, limit: 1000 });
    const renewed = entries.filter(({ action }) => action === 'device.renewed');
    expect(renewed).toMatchObject([
      { actor: `device/${deviceId()}`, subject: `device/${deviceId()}`, source: DEVICE_ADDRESS },
    ]);
    expect(JSON.parse(renewed[0]!.details)).toEqual({ certificate: device.newest, parent, returned: false });
  });

  it('gives the same certificate two hours after its answer was lost', async () => {
    const lost = await device.renew(world, renewals, true);
    world.clock.advance(2 * HOUR_MS);
    expect(await device.renew(world, renewals)).toEqual(lost);
  });

  it('gives both of two that came at once the same certificate', async () => {
    const input = device.request(world);
    const [one, other] = await Promise.all([send(input), send(input)]);
    expect(one).toEqual(other);
  });

  it('issues anew for the same key when the certificate with it has expired, or is gone from the index', async () => {
    const lost = fingerprintOf(await device.renew(world, renewals, true));
    world.clock.advance(DAY_MS);
    const second = fingerprintOf(await device.renew(world, renewals, true));
    expect(second).not.toBe(lost);
    await inIndex((tables) => tables.delete(CertificateRow, { fingerprint: second }));
    const third = fingerprintOf(await device.renew(world, renewals));
    expect([lost, second]).not.toContain(third);
    expect((await identity()).current?.fingerprint).toBe(third);
  });

  it('does not give what somebody put into the index in its place', async () => {
    const other = await RenewingDevice.enrolled(world);
    const row = await world.temporary.store.committed.tables.findOneByOrFail(CertificateRow, {
      fingerprint: other.newest,
    });
    const lost = fingerprintOf(await device.renew(world, renewals, true));
    await inIndex((tables) => tables.update(CertificateRow, { fingerprint: lost }, { pem: row.pem }));
    expect((await refusal(device.renew(world, renewals))).reason).toBe('CERTIFICATE_ROW');
  });

  it('closes connections on the certificate before the last, and no others', async () => {
    const first = device.newest;
    await device.renew(world, renewals);
    const [old, current] = [new OpenConnection(first), new OpenConnection(device.newest)];
    await device.renew(world, renewals);
    expect([old.endedFor, current.endedFor]).toEqual(['superseded', undefined]);
    expect((await old.atTheEnd)?.current?.fingerprint).toBe(device.newest);
    expect(await refusedAtTheDoor(first)).toBe('certificate_not_current');
  });
});

describe('a renewal by somebody else', () => {
  const refused = { kind: 'unauthenticated', reason: 'RENEWAL_REFUSED' };

  it('with the certificate key and without the identity key is refused', async () => {
    const before = await world.actions();
    const { certificateKey } = device.of;
    const asStolen = { ...device.requestFor(world, makeCsr(certificateKey)), signature: Buffer.alloc(64, 7) };
    const ownKey = newKeyPair('ed25519').privateKey;
    for (const input of [asStolen, device.requestFor(world, newCsr(), ownKey)]) {
      expect(await refusal(send(input))).toMatchObject(refused);
    }
    expect(await world.actions()).toEqual(before);
    expect((await identity()).current?.fingerprint).toBe(device.newest);
  });

  it('is told the same of an unknown and of a revoked device', async () => {
    const wrong = await refusal(send({ ...device.request(world), signature: Buffer.alloc(64) }));
    const unknown = new RenewingDevice(newTestDevice(), device.newest);
    const stranger = await refusal(unknown.renew(world, renewals));
    await world.identities.revoke(admin, deviceId(), 'stolen');
    const revoked = await refusal(device.renew(world, renewals));
    for (const error of [wrong, stranger, revoked]) {
      expect(error).toMatchObject(refused);
      expect(error.message).toBe(wrong.message);
    }
  });

  it('is refused when the device was revoked after its signature was checked', async () => {
    const [renewed] = await Promise.all([
      refusal(device.renew(world, renewals)),
      world.identities.revoke(admin, deviceId(), ''),
    ]);
    expect(renewed).toMatchObject(refused);
  });

  it('learns of a bad PKCS#10 request only when the signature holds', async () => {
    const csr = newCsr();
    csr[csr.length - 1]! ^= 1;
    expect((await refusal(send(device.requestFor(world, csr)))).kind).toBe('malformed');
    const unsigned = { ...device.requestFor(world, csr), signature: Buffer.alloc(64) };
    expect(await refusal(send(unsigned))).toMatchObject(refused);
  });

  it('is put off after too many refusals, and others are not', async () => {
    renewals = renewalsOf(world, { refusalsPerMinute: 2 });
    const wrong = { ...device.request(world), signature: Buffer.alloc(64) };
    for (let i = 0; i < 2; i++) expect(await refusal(send(wrong))).toMatchObject(refused);
    expect(await refusal(send(device.request(world)))).toMatchObject({
      kind: 'exhausted',
      reason: 'TOO_MANY_REFUSALS',
      retryAfterMs: MINUTE_MS,
    });
    await renewals.renew(device.request(world), '203.0.113.9');
    world.clock.advance(MINUTE_MS);
    for (let i = 0; i < 3; i++) await device.renew(world, renewals);
  });
});

describe('a device that asks for ever more certificates', () => {
  it('is put off, and gets the same again as before', async () => {
    renewals = renewalsOf(world, { newPerHour: 2 });
    await device.renew(world, renewals);
    const lost = await device.renew(world, renewals, true);
    expect(await device.renew(world, renewals)).toEqual(lost);
    expect(await refusal(device.renew(world, renewals))).toMatchObject({
      kind: 'exhausted',
      reason: 'TOO_MANY_RENEWALS',
      retryAfterMs: 30 * MINUTE_MS,
    });
    world.clock.advance(30 * MINUTE_MS);
    await device.renew(world, renewals);
  });
});

describe('two copies of a device', () => {
  it.each(['the device', 'the copy'])('are seen, the device is suspended: %s moves first', async (first) => {
    const copy = device.clone();
    const [mover, other] = first === 'the copy' ? [copy, device] : [device, copy];
    await mover.renew(world, renewals);
    const connection = new OpenConnection(mover.newest);

    const error = await refusal(other.renew(world, renewals));

    expect(error).toMatchObject({ kind: 'wrong_state', reason: 'RENEWAL_CONFLICT' });
    expect(connection.endedFor).toBe('suspended');
    expect((await connection.atTheEnd)?.suspendedAt).toBe(world.clock.now());
    expect((await world.identities.get(deviceId())).row).toMatchObject({
      state: 'suspended',
      conflictAt: world.clock.now(),
    });
    expect(await refusedAtTheDoor(mover.newest)).toBe('suspended');
    expect((await refusal(mover.renew(world, renewals))).reason).toBe('DEVICE_SUSPENDED');
    expect((await world.actions()).filter((action) => action === 'device.suspended')).toHaveLength(1);

    await world.identities.clear(admin, deviceId(), 'the copy is gone');
    expect(await refusedAtTheDoor(mover.newest)).toBeUndefined();
    expect((await world.identities.get(deviceId())).row).toMatchObject({ state: 'active', conflictAt: null });
    await mover.renew(world, renewals);
    expect((await refusal(other.renew(world, renewals))).reason).toBe('RENEWAL_CONFLICT');
  });

  it('are only flagged when the settings say so: once, until an operator clears it', async () => {
    renewals = renewalsOf(world, { policy: { onConflict: 'flag' } });
    const copy = device.clone();
    await device.renew(world, renewals);
    const seenAt = world.clock.now();
    for (let i = 0; i < 3; i++) {
      expect((await refusal(copy.renew(world, renewals))).reason).toBe('RENEWAL_CONFLICT');
      world.clock.advance(1_000);
    }
    const { row } = await world.identities.get(deviceId());
    expect(row).toMatchObject({ state: 'active', conflictAt: seenAt });
    expect(await refusedAtTheDoor(device.newest)).toBeUndefined();
    await device.renew(world, renewals);
    await world.identities.clear(admin, deviceId(), 'looked into');
    await world.identities.clear(admin, deviceId(), 'looked into');
    expect((await identity()).conflictAt).toBeNull();
    expect((await world.actions()).slice(-5)).toEqual([
      'ca.created',
      'device.renewed',
      'device.conflict',
      'device.renewed',
      'device.cleared',
    ]);
  });
});

describe('a device that was off', () => {
  it.each([
    ['ten days', 10 * DAY_MS],
    ['until the last moment of the grace', 31 * DAY_MS - 1],
  ])('returns after %s', async (_name, off) => {
    world.clock.advance(off);
    expect(await refusedAtTheDoor(device.newest)).toBe('certificate_expired');
    await device.renew(world, renewals);
    expect(await refusedAtTheDoor(device.newest)).toBeUndefined();
    const entries = await world.temporary.store.auditLog.entries({ after: 0, limit: 1000 });
    expect(JSON.parse(entries.at(-1)!.details)).toMatchObject({ returned: true });
  });

  it('does not return when the grace is over, nor at all without one', async () => {
    world.clock.advance(DAY_MS);
    const without = renewalsOf(world, { policy: { returnGraceMs: 0 } });
    expect((await refusal(device.renew(world, without))).reason).toBe('RENEWAL_TOO_LATE');
    world.clock.advance(30 * DAY_MS);
    const error = await refusal(device.renew(world, renewals));
    expect(error).toMatchObject({ kind: 'wrong_state', reason: 'RENEWAL_TOO_LATE' });
    expect(error.message).toContain('pair it again');
  });

  it('does not return once it was revoked', async () => {
    world.clock.advance(10 * DAY_MS);
    await world.identities.revoke(admin, deviceId(), 'lost');
    expect((await refusal(device.renew(world, renewals))).reason).toBe('RENEWAL_REFUSED');
    await world.identities.clear(admin, deviceId(), 'found');
    expect((await refusal(device.renew(world, renewals))).reason).toBe('RENEWAL_REFUSED');
  });

  it('returns with its old certificate when nobody collects the one that a new pairing brought', async () => {
    world.clock.advance(10 * DAY_MS);
    const again = await world.paired(newTestDevice(device.of));
    await world.approve(again.requestId);
    world.clock.advance(DAY_MS);
    await world.housekeeping.run();
    await device.renew(world, renewals);
    expect(await refusedAtTheDoor(device.newest)).toBeUndefined();
  });
});

describe('a key that is certified for another device', () => {
  it('is refused at renewal', async () => {
    const other = await RenewingDevice.enrolled(world);
    const input = device.requestFor(world, makeCsr(other.of.certificateKey));
    expect(await refusal(send(input))).toMatchObject({ kind: 'wrong_state', reason: 'KEY_IN_USE' });
    const previous = other.of.certificateKey;
    await other.renew(world, renewals);
    expect((await refusal(send(device.requestFor(world, makeCsr(previous))))).reason).toBe('KEY_IN_USE');
  });

  it('is shown to the operator and refused at approval, also with another identity', async () => {
    const { certificateKey, csr } = device.of;
    const stranger = await world.paired(newTestDevice({ certificateKey, csr }));
    expect((await world.queue.get(stranger.requestId)).conflict).toBe('KEY_IN_USE');
    expect((await refusal(world.approve(stranger.requestId, true))).reason).toBe('KEY_IN_USE');
  });

  it('is no longer, once only a row of the index says so', async () => {
    const other = await RenewingDevice.enrolled(world);
    const row = { subjectId: `device/${newDeviceId(world.clock, systemRandomBytes)}` };
    const fingerprint = other.newest;
    await inIndex((tables) => tables.update(CertificateRow, { fingerprint }, row));
    await send(device.requestFor(world, makeCsr(other.of.certificateKey)));
  });
});

describe('a suspended device that pairs again', () => {
  it('is in the hands of the operator, and may be approved once it is cleared', async () => {
    const copy = device.clone();
    await device.renew(world, renewals);
    await refusal(copy.renew(world, renewals));
    const again = await world.paired(
      newTestDevice({ deviceId: deviceId(), identityKey: device.of.identityKey }),
    );
    expect((await world.queue.get(again.requestId)).conflict).toBe('DEVICE_SUSPENDED');
    expect((await refusal(world.approve(again.requestId, true))).reason).toBe('DEVICE_SUSPENDED');

    await world.identities.clear(admin, deviceId(), 'the copy is gone');
    await world.approve(again.requestId);
    expect(await identity()).toMatchObject({ suspendedAt: null, conflictAt: null });
  });
});
