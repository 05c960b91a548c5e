import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { PairingCodeRow, PairingRequestRow, PairingTryRow } from '../../src/pairing/pairing.entity.js';
import { PairingWorld, admin, newTestDevice, refusal } from './pairing-world.js';

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
const tables = (): PairingWorld['temporary']['store']['committed']['tables'] =>
  world.temporary.store.committed.tables;

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

  it('leaves one audit entry whether the id was live or not, so that the public sequence tells nothing', async () => {
    const code = await mintPin();
    const dead = idOf(code) === 'ZZZZ' ? 'YYYY' : 'ZZZZ';
    const entriesAfter = async (codeIds: string[]): Promise<number> => {
      const { sequence } = world.temporary.store.storeTime();
      for (const codeId of codeIds) await refusal(world.guess(codeId));
      await world.housekeeping.run();
      return world.temporary.store.storeTime().sequence - sequence;
    };
    expect(await entriesAfter([idOf(code)])).toBe(1);
    expect(await entriesAfter([dead])).toBe(1);
    expect(await entriesAfter([idOf(code), dead])).toBe(1);
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

  it('are refused when they expire while the handshake is on its way', async () => {
    const { confirmed, session } = await world.hello(newTestDevice(), await mintPin());
    world.clock.advance(10 * MINUTE_MS);
    expect((await refusal(session.finish(confirmed.makeProof()))).reason).toBe('PAIRING_REFUSED');
    expect(await tables().count(PairingRequestRow)).toBe(0);
  });

  it('do not live longer because somebody changed a row', async () => {
    const code = await mintPin();
    world.clock.advance(10 * MINUTE_MS);
    await world.temporary.store.unitOfWork.run((unit) =>
      unit.tables.update(PairingCodeRow, { codeId: idOf(code) }, { expiresAt: world.clock.now() + DAY_MS }),
    );
    expect((await refusal(world.paired(newTestDevice(), code))).reason).toBe('CONFIRMATION_FAILED');
  });

  it('cost a try like those that do', async () => {
    for (const codeId of ['ZZZZ', 'ZZZZ', 'YYYY']) await refusal(world.guess(codeId));
    expect((await tables().findOneBy(PairingTryRow, { codeId: 'ZZZZ' }))?.tries).toBe(2);
    expect((await tables().findOneBy(PairingTryRow, { codeId: 'YYYY' }))?.tries).toBe(1);
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

describe('limits', () => {
  beforeEach(async () => {
    await world.remove();
  });

  it('hold for starts, before anything is looked at', async () => {
    world = await PairingWorld.open({ limits: { startsPerMinutePerAddress: 2 } });
    for (let i = 0; i < 2; i++) await refusal(world.guess('ZZZZ'));
    expect(await refusal(world.guess('ZZZZ'))).toMatchObject({
      kind: 'exhausted',
      reason: 'TOO_MANY_STARTS',
    });
    expect((await tables().findOneBy(PairingTryRow, { codeId: 'ZZZZ' }))?.tries).toBe(2);
  });

  it('hold for handshakes in progress, until they end', async () => {
    world = await PairingWorld.open({ limits: { handshakes: 1 } });
    const { session } = await world.hello(newTestDevice(), await mintPin());
    expect((await refusal(world.guess('ZZZZ'))).reason).toBe('TOO_MANY_HANDSHAKES');
    session.end();
    expect((await refusal(world.guess('ZZZZ'))).reason).toBe('PAIRING_REFUSED');
  });
});

describe('an operator', () => {
  it('mints no code under an id whose tries are counted', async () => {
    await world.remove();
    // Two ids of all zeros, then others.
    let draws = 0;
    world = await PairingWorld.open({
      mintRandom: (bytes) => (draws++ < 2 ? Buffer.alloc(bytes) : Buffer.alloc(bytes, 1)),
    });
    await refusal(world.guess('0000'));
    expect(idOf(await mintPin())).toBe('1111');
  });

  it('cannot mint a code that lives too long or too short', async () => {
    for (const ttlMs of [MINUTE_MS - 1, 61 * MINUTE_MS]) {
      expect(await refusal(world.codes.mint(admin, { kind: 'pin', ttlMs }))).toMatchObject({
        reason: 'TTL_OUT_OF_RANGE',
        message: 'a PIN code lives from 1 minute to 1 hour',
      });
    }
    expect(await refusal(world.codes.mint(admin, { kind: 'link', ttlMs: DAY_MS + 1 }))).toMatchObject({
      reason: 'TTL_OUT_OF_RANGE',
      message: 'a link code lives from 1 minute to 24 hours',
    });
  });

  it('sees live codes without their secrets', async () => {
    const code = await mintPin();
    await refusal(world.guess(idOf(code)));
    const { codes } = await world.codes.list({ limit: 10 });
    expect(codes).toEqual([expect.objectContaining({ codeId: idOf(code), kind: 'pin', triesLeft: 2 })]);
    expect(JSON.stringify(codes)).not.toContain(code.slice(-6));
  });
});
