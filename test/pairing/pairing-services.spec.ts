import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CertificateRow } from '../../src/ca/certificate.entity.js';
import { DeviceRow } from '../../src/identity/device.entity.js';
import { rawIdentityKey } from '../../src/identity/ed25519.js';
import { readIdentity, writeIdentity } from '../../src/identity/enrolment.js';
import { identityFingerprint } from '../../src/identity/fingerprint.js';
import { DECIDED_REQUEST_LIFE_MS } from '../../src/pairing/housekeeping.js';
import { requestToProto } from '../../src/pairing/pairing-messages.js';
import { PairingCodeRow, PairingRequestRow, PairingTryRow } from '../../src/pairing/pairing.entity.js';
import { TRY_ROW_LIFE_MS } from '../../src/pairing/tries.js';
import type { ListedConnection } from '../../src/quic/device-connections.js';
import type { CloseReason } from '../../src/quic/node-connections.js';
import { PairingWorld, admin, newTestDevice, refusal } from './pairing-world.js';
import { newKeyPair } from '../../src/random/key-pair.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

let world: PairingWorld;
beforeEach(async () => {
  world = await PairingWorld.open();
});
afterEach(async () => {
  await world.remove();
});

const mintPin = async (): Promise<string> => (await world.codes.mint(admin, { kind: 'pin' })).secretText;
const idOf = (pinCode: string): string => pinCode.slice(0, 4);
const identityOf = (deviceId: string): ReturnType<typeof readIdentity> =>
  readIdentity(world.temporary.store.committed.secrets, deviceId);
const tables = (): PairingWorld['temporary']['store']['committed']['tables'] =>
  world.temporary.store.committed.tables;

/** A connection of a device as its list knows it; remembers how it was ended, and what was committed then. */
class OpenConnection implements ListedConnection {
  readonly fingerprint = '';
  readonly isAdmitted = true;
  endedFor: CloseReason | undefined;
  identityAtTheEnd: ReturnType<typeof readIdentity> | undefined;

  constructor(private readonly deviceId: string) {
    world.connections.enter(deviceId, this);
  }

  end(reason: CloseReason): void {
    this.endedFor = reason;
    this.identityAtTheEnd = identityOf(this.deviceId);
  }

  endIfUntrusted(): boolean {
    return false;
  }

  endBy(): void {
    throw new Error('nobody asked for this');
  }
}

describe('a pairing', () => {
  it('goes from code to certificate', async () => {
    const device = await world.paired();
    expect((await world.collectOnce(device.token)).state).toBe('pending_approval');

    const certificate = await world.approve(device.requestId);
    const collected = await world.collectOnce(device.token);

    expect(collected.state).toBe('completed');
    expect(collected.certificateChain[0]?.equals(certificate.der)).toBe(true);
    expect((await identityOf(device.deviceId))?.current?.fingerprint).toBe(certificate.fingerprint);
    expect((await world.collectOnce(device.token)).certificateChain).toHaveLength(2);
    expect(await world.actions()).toEqual([
      'store.created',
      'ca.created',
      'pairing.code_created',
      'pairing.requested',
      'pairing.approved',
      'pairing.collected',
    ]);
  });

  it('works by link as well, and uses the link up', async () => {
    const { secretText } = await world.codes.mint(admin, { kind: 'link' });
    const device = await world.paired(newTestDevice(), secretText);
    expect((await world.collectOnce(device.token)).state).toBe('pending_approval');
    expect((await refusal(world.paired(newTestDevice(), secretText))).reason).toBe('CONFIRMATION_FAILED');
  });

  it('leaves nothing secret behind once it is decided', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    const names = await world.temporary.store.committed.secrets.list('');
    expect(names.filter((name) => name.startsWith('code/') || name.startsWith('request/'))).toEqual([]);
  });
});

describe('faults behind a right proof', () => {
  it('name themselves and leave the code live', async () => {
    const code = await mintPin();
    const first = await world.hello(newTestDevice(), code);
    const proof = { ...first.confirmed.makeProof(), identitySignature: Buffer.alloc(64) };
    expect(await refusal(first.session.finish(proof))).toMatchObject({
      kind: 'malformed',
      reason: 'IDENTITY_SIGNATURE',
    });
    await world.paired(newTestDevice(), code);
  });
});

describe('a decision', () => {
  it('to approve can be repeated, issues once, and cannot be turned round', async () => {
    const device = await world.paired();
    const [first, second] = await Promise.all([
      world.approve(device.requestId),
      world.approve(device.requestId),
    ]);
    expect(second.fingerprint).toBe(first.fingerprint);
    expect((await world.approve(device.requestId)).sequence).toBe(first.sequence);
    const error = await refusal(world.decisions.reject(admin, device.requestId, ''));
    expect(error).toMatchObject({ kind: 'wrong_state', reason: 'ALREADY_DECIDED' });
    expect((await world.actions()).filter((action) => action === 'pairing.approved')).toHaveLength(1);
  });

  it('to reject leaves no identity and cannot be turned round', async () => {
    const device = await world.paired();
    await world.decisions.reject(admin, device.requestId, 'not ours');
    await world.decisions.reject(admin, device.requestId, 'not ours');
    expect((await refusal(world.approve(device.requestId))).reason).toBe('ALREADY_DECIDED');
    expect(await identityOf(device.deviceId)).toBeUndefined();
    expect(await world.collectOnce(device.token)).toMatchObject({ state: 'rejected', reason: 'not ours' });
    expect((await world.actions()).filter((action) => action === 'pairing.rejected')).toHaveLength(1);
  });

  it('comes too late after a day', async () => {
    const device = await world.paired();
    world.clock.advance(DAY_MS);
    expect((await refusal(world.approve(device.requestId))).reason).toBe('REQUEST_EXPIRED');
    expect((await world.collectOnce(device.token)).state).toBe('expired');
    expect((await refusal(world.approve(device.requestId))).reason).toBe('REQUEST_EXPIRED');
  });

  it('about a request that nobody made is not found', async () => {
    expect((await refusal(world.approve('01k9zayt3m4v5w6x7y8z9abcde'))).reason).toBe('REQUEST_NOT_FOUND');
  });
});

describe('a device that is known', () => {
  it('with the same key gets a new certificate, and keeps the old one for the overlap', async () => {
    const device = await world.paired();
    const first = await world.approve(device.requestId);
    await world.collectOnce(device.token);
    const again = await world.paired(device);
    const second = await world.approve(again.requestId);
    const identity = await identityOf(device.deviceId);
    expect(identity?.current?.fingerprint).toBe(second.fingerprint);
    expect(identity?.previous?.fingerprint).toBe(first.fingerprint);
    expect((await world.queue.get(again.requestId)).row.state).toBe('approved');
  });

  it('with another key needs replace_identity, and then the old identity ends', async () => {
    const device = await world.paired();
    const first = await world.approve(device.requestId);
    const otherKey = newKeyPair('ed25519').privateKey;
    const impostor = await world.paired(newTestDevice({ deviceId: device.deviceId, identityKey: otherKey }));

    expect((await world.queue.get(impostor.requestId)).conflict).toBe('IDENTITY_CHANGED');
    expect((await refusal(world.approve(impostor.requestId))).reason).toBe('IDENTITY_CHANGED');
    const replaced = await world.approve(impostor.requestId, true);
    const identity = await identityOf(device.deviceId);
    expect(identity?.current?.fingerprint).toBe(replaced.fingerprint);
    expect(identity?.previous).toBeNull();
    const listed = await world.temporary.store.committed.tables.query<unknown>(
      'SELECT c.fingerprint, r.reason_code FROM revocation r JOIN certificate c ON c.sequence = r.certificate_sequence',
    );
    // CRLReason superseded; the new certificate is not among them.
    expect(listed).toEqual([{ fingerprint: first.fingerprint, reason_code: 4 }]);
    expect(await world.collectOnce(device.token)).toMatchObject({ state: 'expired', certificateChain: [] });
  });

  it('with another key loses the certificate that it works with, without an overlap', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    await world.collectOnce(device.token);
    const otherKey = newKeyPair('ed25519').privateKey;
    const other = await world.paired(newTestDevice({ deviceId: device.deviceId, identityKey: otherKey }));
    const replaced = await world.approve(other.requestId, true);
    const identity = await identityOf(device.deviceId);
    expect(identity?.current?.fingerprint).toBe(replaced.fingerprint);
    expect(identity?.previous).toBeNull();
  });

  it('loses its connections to the one that replaces it', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    const connection = new OpenConnection(device.deviceId);
    const otherKey = newKeyPair('ed25519').privateKey;
    const other = await world.paired(newTestDevice({ deviceId: device.deviceId, identityKey: otherKey }));
    expect(connection.endedFor).toBeUndefined();
    await world.approve(other.requestId, true);
    expect(connection.endedFor).toBe('superseded');
  });

  it('loses the connections of a certificate that is no longer one of its two', async () => {
    const device = await world.paired();
    const ended: string[] = [];
    const { fingerprint } = await world.approve(device.requestId);
    await world.collectOnce(device.token);
    world.connections.enter(device.deviceId, {
      fingerprint,
      isAdmitted: true,
      end: (reason) => ended.push(reason),
      endBy: () => undefined,
      endIfUntrusted: () => false,
    });
    const again = await world.paired(device);
    await world.approve(again.requestId);
    expect(ended).toEqual([]);
    await world.collectOnce(again.token);
    await world.approve((await world.paired(device)).requestId);
    expect(ended).toEqual(['superseded']);
  });

  it('stays suspended until it is cleared, with the same key and with another', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    await world.temporary.store.unitOfWork.run(async (unit) => {
      const identity = await readIdentity(unit.secrets, device.deviceId);
      await writeIdentity(unit, { ...identity!, suspendedAt: world.clock.now() });
    });
    const sameKey = await world.paired(device);
    const otherKey = await world.paired(newTestDevice({ deviceId: device.deviceId }));
    for (const { requestId } of [sameKey, otherKey]) {
      expect((await refusal(world.approve(requestId, true))).reason).toBe('DEVICE_SUSPENDED');
    }
    await world.identities.clear(admin, device.deviceId, 'looked into');
    await world.approve(sameKey.requestId);
  });

  it('cannot lend its key to another device id', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    const copy = await world.paired(newTestDevice({ identityKey: device.identityKey }));
    expect((await refusal(world.approve(copy.requestId, true))).reason).toBe('IDENTITY_KEY_IN_USE');
  });
});

describe('a revoked device', () => {
  it('loses its connections once the revocation is committed', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    const connection = new OpenConnection(device.deviceId);
    const { closedConnections } = await world.identities.revoke(admin, device.deviceId, '');
    expect(closedConnections).toBe(1);
    expect(connection.endedFor).toBe('revoked');
    expect(await connection.identityAtTheEnd).toBeUndefined();
  });

  it('cannot collect again what it has collected', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    await world.collectOnce(device.token);
    await world.identities.revoke(admin, device.deviceId, '');
    expect((await refusal(world.collectOnce(device.token))).reason).toBe('NOTHING_TO_COLLECT');
  });

  it('is kept out by its own key, whatever a row says', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    await world.temporary.store.unitOfWork.run((unit) =>
      unit.tables.update(DeviceRow, { deviceId: device.deviceId }, { identityFingerprint: '0'.repeat(64) }),
    );
    await world.identities.revoke(admin, device.deviceId, '');
    const sameKey = await world.paired(newTestDevice({ identityKey: device.identityKey }));
    expect((await refusal(world.approve(sameKey.requestId))).reason).toBe('DEVICE_REVOKED');
  });

  it.each([
    ['is called revoked already', { state: 'revoked' }],
    ['is gone', undefined],
  ] as const)('is revoked by its identity, also when its row %s', async (_case, forged) => {
    const device = await world.paired();
    await world.approve(device.requestId);
    const connection = new OpenConnection(device.deviceId);
    const { deviceId } = device;
    await world.temporary.store.unitOfWork.run(async (unit) => {
      if (forged === undefined) await unit.tables.delete(DeviceRow, { deviceId });
      else await unit.tables.update(DeviceRow, { deviceId }, forged);
    });
    await world.identities.revoke(admin, deviceId, 'stolen');
    expect(await identityOf(deviceId)).toBeUndefined();
    expect(connection.endedFor).toBe('revoked');
    const again = await world.paired(device);
    expect((await refusal(world.approve(again.requestId))).reason).toBe('DEVICE_REVOKED');
  });

  it('is one whose identity is gone: a clearing on the word of a row alone hides nobody from the list', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    const { deviceId } = device;
    await world.temporary.store.unitOfWork.run((unit) =>
      unit.tables.update(DeviceRow, { deviceId }, { state: 'revoked' }),
    );
    await world.identities.clear(admin, deviceId, 'found again');
    expect(await identityOf(deviceId)).toBeDefined();
    expect((await world.identities.get(deviceId)).row.state).toBe('active');
    expect(await world.actions()).not.toContain('device.cleared');
  });

  it('is refused by id and by key until an admin clears it', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    await world.identities.revoke(admin, device.deviceId, 'stolen');
    await world.identities.revoke(admin, device.deviceId, 'stolen');
    expect(await identityOf(device.deviceId)).toBeUndefined();
    expect((await refusal(world.collectOnce(device.token))).reason).toBe('NOTHING_TO_COLLECT');

    const sameBoth = await world.paired(device);
    const sameKey = await world.paired(newTestDevice({ identityKey: device.identityKey }));
    const sameId = await world.paired(newTestDevice({ deviceId: device.deviceId }));
    for (const { requestId } of [sameBoth, sameKey, sameId]) {
      expect((await refusal(world.approve(requestId, true))).reason).toBe('DEVICE_REVOKED');
    }
    await world.identities.clear(admin, device.deviceId, 'found again');
    await world.approve(sameBoth.requestId);
    const actions = await world.actions();
    expect(actions.filter((action) => action === 'device.revoked')).toHaveLength(1);
    expect(actions.filter((action) => action === 'device.cleared')).toHaveLength(1);
  });

  it('gets nothing when it was approved and has not collected yet', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    await world.identities.revoke(admin, device.deviceId, '');
    expect((await refusal(world.collectOnce(device.token))).reason).toBe('NOTHING_TO_COLLECT');
    expect((await world.queue.get(device.requestId)).row.state).toBe('approved');
  });
});

describe('housekeeping', () => {
  it('withdraws a certificate that nobody collected, identity and all', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    world.clock.advance(DAY_MS);
    await world.housekeeping.run();
    expect(await identityOf(device.deviceId)).toBeUndefined();
    expect((await world.queue.get(device.requestId)).row.state).toBe('expired');
    await world.paired(device);
  });

  it('takes what a device proved away with its request', async () => {
    const device = await world.paired();
    expect(await world.temporary.store.committed.secrets.list('request/')).toHaveLength(1);
    world.clock.advance(DAY_MS);
    await world.housekeeping.run();
    expect((await world.queue.get(device.requestId)).row.state).toBe('expired');
    expect(await world.temporary.store.committed.secrets.list('request/')).toEqual([]);
  });

  it('removes expired and spent codes with their verifiers, and forgets tries and old decisions in time', async () => {
    const spent = await mintPin();
    for (let i = 0; i < 3; i++) await refusal(world.guess(idOf(spent)));
    const device = await world.paired();
    await world.decisions.reject(admin, device.requestId, '');
    world.clock.advance(2 * MINUTE_MS);
    await world.housekeeping.run();
    expect(await tables().findOneBy(PairingCodeRow, { codeId: idOf(spent) })).toBeNull();
    expect(await world.temporary.store.committed.secrets.list('code/')).toEqual([]);

    world.clock.advance(TRY_ROW_LIFE_MS);
    await world.housekeeping.run();
    expect(await tables().count(PairingTryRow)).toBe(0);
    world.clock.advance(DECIDED_REQUEST_LIFE_MS);
    await world.housekeeping.run();
    expect(await tables().count(PairingRequestRow)).toBe(0);
    expect((await refusal(world.collectOnce(device.token))).reason).toBe('NOTHING_TO_COLLECT');
  });
});

describe('collecting', () => {
  it('tells each change to the one who waits', async () => {
    const device = await world.paired();
    const states: string[] = [];
    const watching = (async (): Promise<void> => {
      const { signal } = new AbortController();
      for await (const { state } of world.collection.watch(device.token, '198.51.100.7', signal)) {
        states.push(state);
        if (state === 'pending_approval') await world.approve(device.requestId);
      }
    })();
    await watching;
    expect(states).toEqual(['pending_approval', 'completed']);
  });

  it('refuses what is no token and knows nothing of another one', async () => {
    await world.paired();
    expect((await refusal(world.collectOnce(Buffer.alloc(31)))).reason).toBe('INVALID_TOKEN');
    expect((await refusal(world.collectOnce(Buffer.alloc(32)))).reason).toBe('NOTHING_TO_COLLECT');
  });
});

describe('a certificate', () => {
  it('is handed out until it expires', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    await world.collectOnce(device.token);
    world.clock.advance(DAY_MS - 1);
    expect((await world.collectOnce(device.token)).certificateChain).toHaveLength(2);
    world.clock.advance(1);
    expect((await refusal(world.collectOnce(device.token))).reason).toBe('NOTHING_TO_COLLECT');
  });

  it('is not handed out when another was put into its place in the index', async () => {
    const device = await world.paired();
    const { fingerprint } = await world.approve(device.requestId);
    const other = await world.paired();
    const { pem } = await world.approve(other.requestId);
    await world.temporary.store.unitOfWork.run((unit) =>
      unit.tables.update(CertificateRow, { fingerprint }, { pem }),
    );
    expect((await refusal(world.collectOnce(device.token))).reason).toBe('CERTIFICATE_ROW');
  });
});

describe('an operator', () => {
  it('is shown the sealed record, not a row that somebody changed', async () => {
    const device = await world.paired();
    await world.temporary.store.unitOfWork.run(async (unit) => {
      await unit.tables.update(
        PairingRequestRow,
        { requestId: device.requestId },
        { platform: 'forged', deviceId: 'X', identityFingerprint: '0'.repeat(64) },
      );
    });
    const shown = requestToProto(await world.queue.get(device.requestId), true);
    expect(shown).toMatchObject({ platform: 'linux-x64', deviceId: device.deviceId });
    const fingerprint = identityFingerprint(rawIdentityKey(device.identityKey));
    expect(shown.identityFingerprint.toString('hex')).toBe(fingerprint);
  });
});
