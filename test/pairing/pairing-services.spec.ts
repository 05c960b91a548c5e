import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { DomainError } from '../../src/errors/domain-error.js';
import { readIdentity } from '../../src/identity/enrolment.js';
import { DECIDED_REQUEST_LIFE_MS } from '../../src/pairing/housekeeping.js';
import { PairingCodeRow, PairingRequestRow, PairingTryRow } from '../../src/pairing/pairing.entity.js';
import { TRY_ROW_LIFE_MS } from '../../src/pairing/tries.js';
import { PairingWorld, admin, newTestDevice } from './pairing-world.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

let world: PairingWorld;
beforeEach(async () => {
  world = await PairingWorld.open();
});
afterEach(async () => {
  await world.remove();
});

async function refusal(act: Promise<unknown>): Promise<DomainError> {
  const error: unknown = await act.then(
    () => new Error('nothing was refused'),
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(DomainError);
  return error as DomainError;
}

const mintPin = async (): Promise<string> => (await world.codes.mint(admin, { kind: 'pin' })).secretText;
const idOf = (pinCode: string): string => pinCode.slice(0, 4);
const identityOf = (deviceId: string): ReturnType<typeof readIdentity> =>
  readIdentity(world.temporary.store.committed.secrets, deviceId);
const tables = (): PairingWorld['temporary']['store']['committed']['tables'] =>
  world.temporary.store.committed.tables;

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

describe('a wrong PIN', () => {
  it('is noticed by the device, and leaves only the try row and its audit count', async () => {
    const code = await mintPin();
    const before = await world.temporary.store.committed.secrets.list('');
    const wrong = `${code.slice(0, -1)}${code.endsWith('1') ? '2' : '1'}`;
    expect((await refusal(world.paired(newTestDevice(), wrong))).reason).toBe('CONFIRMATION_FAILED');

    expect(await world.temporary.store.committed.secrets.list('')).toEqual(before);
    expect(await tables().count(PairingRequestRow)).toBe(0);
    expect((await tables().findOneBy(PairingTryRow, { codeId: idOf(code) }))?.tries).toBe(1);
    await world.housekeeping.run();
    expect((await world.actions()).slice(-1)).toEqual(['pairing.tried']);
    await world.housekeeping.run();
    expect((await world.actions()).filter((action) => action === 'pairing.tried')).toHaveLength(1);
  });

  it('ends the code after three tries, whoever made them', async () => {
    const code = await mintPin();
    for (let i = 0; i < 3; i++)
      expect((await refusal(world.guess(idOf(code)))).reason).toBe('PAIRING_REFUSED');
    expect((await refusal(world.paired(newTestDevice(), code))).reason).toBe('CONFIRMATION_FAILED');
  });

  it('leaves the right one its last try', async () => {
    const code = await mintPin();
    for (let i = 0; i < 2; i++) await refusal(world.guess(idOf(code)));
    await world.paired(newTestDevice(), code);
  });

  it('gives at most three of 100 parallel handshakes a verifier that the code fits', async () => {
    const code = await mintPin();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 100 }, () => world.hello(newTestDevice(), code)),
    );
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(3);
  });

  it('costs a link nothing', async () => {
    const { code, secretText } = await world.codes.mint(admin, { kind: 'link' });
    for (let i = 0; i < 20; i++) await refusal(world.guess(code.codeId));
    expect(await tables().count(PairingTryRow)).toBe(0);
    await world.paired(newTestDevice(), secretText);
  });
});

describe('codes that do not live', () => {
  it('are refused alike: unknown, expired, used, spent, withdrawn', async () => {
    const used = await mintPin();
    await world.paired(newTestDevice(), used);
    const expired = await mintPin();
    world.clock.advance(11 * MINUTE_MS);
    const spent = await mintPin();
    for (let i = 0; i < 3; i++) await refusal(world.guess(idOf(spent)));
    const withdrawn = await mintPin();
    await world.codes.withdraw(admin, idOf(withdrawn), '');
    const wrong = await mintPin();
    const unknown = ['ZZZZ', 'YYYY'].find((id) => id !== idOf(wrong)) ?? '';

    const answers = [];
    for (const code of [unknown, expired, used, spent, withdrawn, wrong]) {
      const { kind, reason, message } = await refusal(world.guess(idOf(code)));
      answers.push({ kind, reason, message });
    }
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]).toMatchObject({ kind: 'unauthenticated', reason: 'PAIRING_REFUSED' });
  });

  it('are refused when they end while the handshake is on its way', async () => {
    const code = await mintPin();
    const { confirmed, session } = await world.hello(newTestDevice(), code);
    await world.codes.withdraw(admin, idOf(code), '');
    expect((await refusal(session.finish(confirmed.makeProof()))).reason).toBe('PAIRING_REFUSED');
    expect(await tables().count(PairingRequestRow)).toBe(0);
  });

  it('pair one device when two have the right PIN at once', async () => {
    const code = await mintPin();
    const first = await world.hello(newTestDevice(), code);
    const second = await world.hello(newTestDevice(), code);
    await first.session.finish(first.confirmed.makeProof());
    expect((await refusal(second.session.finish(second.confirmed.makeProof()))).reason).toBe(
      'PAIRING_REFUSED',
    );
    expect(await tables().count(PairingRequestRow)).toBe(1);
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
    const again = await world.paired(device);
    const second = await world.approve(again.requestId);
    const identity = await identityOf(device.deviceId);
    expect(identity?.current?.fingerprint).toBe(second.fingerprint);
    expect(identity?.previous?.fingerprint).toBe(first.fingerprint);
    expect((await world.queue.get(again.requestId)).row.state).toBe('approved');
  });

  it('with another key needs replace_identity, and then the old identity ends', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    const otherKey = generateKeyPairSync('ed25519').privateKey;
    const impostor = await world.paired(newTestDevice({ deviceId: device.deviceId, identityKey: otherKey }));

    expect((await world.queue.get(impostor.requestId)).conflict).toBe('IDENTITY_CHANGED');
    expect((await refusal(world.approve(impostor.requestId))).reason).toBe('IDENTITY_CHANGED');
    const replaced = await world.approve(impostor.requestId, true);
    const identity = await identityOf(device.deviceId);
    expect(identity?.current?.fingerprint).toBe(replaced.fingerprint);
    expect(identity?.previous).toBeNull();
    expect((await refusal(world.collectOnce(device.token))).reason).toBe('NOTHING_TO_COLLECT');
  });

  it('cannot lend its key to another device id', async () => {
    const device = await world.paired();
    await world.approve(device.requestId);
    const copy = await world.paired(newTestDevice({ identityKey: device.identityKey }));
    expect((await refusal(world.approve(copy.requestId, true))).reason).toBe('IDENTITY_KEY_IN_USE');
  });
});

describe('a revoked device', () => {
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
    expect((await refusal(world.collectOnce(Buffer.alloc(31)))).reason).toBe('INVALID_TOKEN');
    expect((await refusal(world.collectOnce(Buffer.alloc(32)))).reason).toBe('NOTHING_TO_COLLECT');
  });
});

describe('an operator', () => {
  it('is shown the sealed record, not a row that somebody changed', async () => {
    const device = await world.paired();
    await world.temporary.store.unitOfWork.run(async (unit) => {
      await unit.tables.update(
        PairingRequestRow,
        { requestId: device.requestId },
        { platform: 'forged', deviceId: 'X' },
      );
    });
    const shown = await world.queue.get(device.requestId);
    expect(shown.record).toMatchObject({ platform: 'linux-x64', deviceId: device.deviceId });
  });

  it('cannot mint a code that lives too long or too short', async () => {
    for (const ttlMs of [MINUTE_MS - 1, 61 * MINUTE_MS]) {
      expect((await refusal(world.codes.mint(admin, { kind: 'pin', ttlMs }))).reason).toBe(
        'TTL_OUT_OF_RANGE',
      );
    }
    expect((await refusal(world.codes.mint(admin, { kind: 'link', ttlMs: DAY_MS + 1 }))).reason).toBe(
      'TTL_OUT_OF_RANGE',
    );
  });

  it('sees live codes without their secrets', async () => {
    const code = await mintPin();
    await refusal(world.guess(idOf(code)));
    const { codes } = await world.codes.list({ limit: 10 });
    expect(codes).toEqual([expect.objectContaining({ codeId: idOf(code), kind: 'pin', triesLeft: 2 })]);
    expect(JSON.stringify(codes)).not.toContain(code.slice(-6));
  });
});
