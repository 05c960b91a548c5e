import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { requestToProto } from '../../src/pairing/pairing-messages.js';
import { type RequestChange, RequestWatch, type WatchOptions } from '../../src/pairing/request-watch.js';
import { PairingWorld, admin, newTestDevice, refusal } from './pairing-world.js';
import { newKeyPair } from '../../src/random/key-pair.js';

describe('the queue of pairing requests', () => {
  let world: PairingWorld;
  let link: string;
  let codeId: string;

  beforeEach(async () => {
    world = await PairingWorld.open();
    const minted = await world.codes.mint(admin, { kind: 'link', policy: { uses: 50 } });
    link = minted.secretText;
    codeId = minted.code.codeId;
  });

  afterEach(() => world.remove());

  const pair = async (): Promise<string> => (await world.paired(newTestDevice(), link)).requestId;

  describe('watched', () => {
    let watches: AsyncGenerator<RequestChange>[];
    let stop: AbortController;
    let reads: number;
    let may: boolean;

    beforeEach(() => {
      watches = [];
      stop = new AbortController();
      reads = 0;
      may = true;
    });

    afterEach(async () => {
      stop.abort();
      for (const watch of watches) await watch.return(undefined).catch(() => undefined);
    });

    function watch(options: Partial<WatchOptions> = {}): AsyncGenerator<RequestChange> {
      const { store } = world.temporary;
      const requests = new RequestWatch({
        queue: world.queue,
        entries: (range) => {
          reads += 1;
          return store.auditLog.entries(range);
        },
        storeTime: () => store.storeTime(),
        onCommit: (listener) => store.onCommit(listener),
      });
      const made = requests.watch({ mayLook: () => Promise.resolve(may), signal: stop.signal, ...options });
      watches.push(made);
      return made;
    }

    /** The next change as id and state; `undefined` for the end of what is pending. */
    async function next(watch: AsyncGenerator<RequestChange>): Promise<[string, string] | undefined> {
      const { value } = (await watch.next()) as { value: RequestChange };
      return value.request === undefined ? undefined : [value.request.row.requestId, value.request.row.state];
    }

    it('tells what is pending, where that ends, and then each change', async () => {
      const first = await pair();
      const second = await pair();
      const changes = watch();
      const pending = [await next(changes), await next(changes)];
      expect(pending.map((change) => change?.[0]).sort()).toEqual([first, second].sort());
      expect(await next(changes)).toBeUndefined();
      const third = next(changes);
      const requestId = await pair();
      expect(await third).toEqual([requestId, 'pending_approval']);
      await world.approve(first);
      expect(await next(changes)).toEqual([first, 'approved']);
      await world.decisions.reject(admin, second, 'no');
      expect(await next(changes)).toEqual([second, 'rejected']);
      world.clock.advance(25 * 3_600_000);
      await world.housekeeping.run();
      const expired = [await next(changes), await next(changes)];
      expect(expired).toContainEqual([requestId, 'expired']);
      expect(expired).toContainEqual([first, 'expired']);
    });

    it('goes on from a sequence and misses nothing', async () => {
      const changes = watch();
      await changes.next();
      const first = await pair();
      const { value } = (await changes.next()) as { value: RequestChange };
      expect(value.request?.row.requestId).toBe(first);
      await changes.return(undefined);
      const missed = await pair();
      await world.decisions.reject(admin, first, 'no');
      const resumed = watch({ after: value.sequence });
      expect(await next(resumed)).toEqual([missed, 'pending_approval']);
      expect(await next(resumed)).toEqual([first, 'rejected']);
    });

    it('is refused where the store is not, and where the log does not reach back to', async () => {
      const { sequence } = world.temporary.store.storeTime();
      await pair();
      expect((await refusal(watch({ after: sequence + 9 }).next())).reason).toBe('SEQUENCE_AHEAD');
      const cut = new RequestWatch({
        queue: world.queue,
        entries: (range) =>
          world.temporary.store.auditLog.entries({ ...range, after: Math.max(range.after, sequence) }),
        storeTime: () => world.temporary.store.storeTime(),
        onCommit: (listener) => world.temporary.store.onCommit(listener),
      });
      const options = { mayLook: () => Promise.resolve(true), signal: stop.signal };
      expect((await refusal(cut.watch({ ...options, after: sequence - 1 }).next())).reason).toBe(
        'SEQUENCE_GONE',
      );
    });

    it('ends with the credential, before anything more is told', async () => {
      const changes = watch();
      await changes.next();
      const waiting = refusal(changes.next());
      may = false;
      await pair();
      const error = await waiting;
      expect([error.kind, error.reason]).toEqual(['unauthenticated', 'CREDENTIALS_ENDED']);
    });

    it('reads nothing on while what it told is not taken', async () => {
      const changes = watch();
      await changes.next();
      await pair();
      await changes.next();
      const before = reads;
      for (let i = 0; i < 10; i++) await pair();
      expect(reads).toBe(before);
      for (let i = 0; i < 10; i++) await changes.next();
      expect(reads).toBe(before + 1);
    });

    it('stops when its caller goes', async () => {
      const changes = watch();
      await changes.next();
      const waiting = changes.next();
      stop.abort();
      expect((await waiting).done).toBe(true);
    });
  });

  it('is listed by state, kind, code and age', async () => {
    const early = await pair();
    world.clock.advance(60_000);
    const late = (await world.paired()).requestId;
    const ids = async (filter: object): Promise<string[]> =>
      (await world.queue.list({ limit: 10, ...filter })).requests.map(({ row }) => row.requestId);
    expect(await ids({})).toEqual([late, early]);
    expect(await ids({ codeId })).toEqual([early]);
    expect(await ids({ minAgeMs: 60_000 })).toEqual([early]);
    expect(await ids({ maxAgeMs: 59_999 })).toEqual([late]);
    expect(await ids({ clientKind: 'node' })).toEqual([late, early]);
    expect(await ids({ clientKind: 'cli' })).toEqual([]);
    await world.approve(early);
    expect(await ids({ state: 'pending_approval' })).toEqual([late]);
  });

  it('shows the id of a code that lives only to those who may mint', async () => {
    const shown = async (requestId: string, mayMint: boolean): Promise<string> =>
      requestToProto(await world.queue.get(requestId), mayMint).codeId;
    const requestId = await pair();
    expect([await shown(requestId, true), await shown(requestId, false)]).toEqual([codeId, '']);
    await world.decisions.reject(admin, requestId, 'no');
    expect(await shown(requestId, false)).toBe('');
    await world.codes.withdraw(admin, codeId, 'over');
    expect(await shown(requestId, false)).toBe(codeId);
  });

  it('shows what is known of the device id and of the key', async () => {
    const device = await world.paired(newTestDevice(), link);
    await world.approve(device.requestId);
    await world.collectOnce(device.token);
    const facts = async (of: object): Promise<ReturnType<typeof requestToProto>> =>
      requestToProto(await world.queue.get((await world.paired(newTestDevice(of), link)).requestId), true);
    const { deviceId, identityKey } = device;
    const known = requestToProto(await world.queue.get(device.requestId), true).identityFingerprint;
    const changed = await facts({ deviceId, identityKey: newKeyPair('ed25519').privateKey });
    expect(changed.conflict).toBe('IDENTITY_CHANGED');
    expect(changed.knownIdentityFingerprint.equals(known)).toBe(true);
    expect((await facts({ identityKey })).keyDeviceId).toBe(deviceId);
    await world.identities.revoke(admin, deviceId, 'lost');
    expect(await facts({ deviceId })).toMatchObject({ deviceIdRevoked: true, keyRevoked: false });
    expect(await facts({ identityKey })).toMatchObject({ deviceIdRevoked: false, keyRevoked: true });
  });
});
