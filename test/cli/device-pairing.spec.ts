import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientError } from '../../src/client/client-error.js';
import {
  completePairing,
  readCertificate,
  readIdentity,
  readPending,
  type PendingPairing,
  type StoredCertificate,
} from '../../src/client/device/device-records.js';
import { DeviceStore, DeviceStoreReader } from '../../src/client/device/device-store.js';
import { pairDevice, type PairingOptions } from '../../src/client/device/pairing.js';
import type { PairingEvent } from '../../src/client/device/pairing-event.js';
import { requireEndpoint } from '../../src/client/grpc/endpoint.js';
import { interrupted } from '../../src/client/client-error.js';
import { identityFingerprint } from '../../src/identity/fingerprint.js';
import { rawIdentityKey } from '../../src/identity/ed25519.js';
import { formatPinCode, type LinkCode, type PinCode } from '../../src/pairing/protocol/code.js';
import { formatLink } from '../../src/pairing/protocol/link.js';
import { certificateKeyHash } from '../../src/pairing/protocol/root-pin.js';
import { ManualClock, systemClock } from '../../src/time/clock.js';
import { TestCa } from '../ca/test-ca.js';
import type { Verifier } from '../../src/spake2plus/verifier.js';
import { PairingServer, verifiersOf } from './pairing-server.js';

const PIN: PinCode = { kind: 'pin', codeId: 'K7QM', pin: '482913' };
const WRONG_PIN: PinCode = { ...PIN, pin: '482914' };

describe('pairing of a device', () => {
  let ca: TestCa;
  /** Cheaper than a PIN, which takes a scrypt: used where it does not matter. */
  let link: LinkCode;
  let codes: ReadonlyMap<string, Verifier>;
  let parent: string;
  let directory: string;
  let server: PairingServer;
  let events: PairingEvent[];
  let asked: number;

  beforeAll(async () => {
    ca = await TestCa.create();
    link = {
      kind: 'link',
      codeId: '7ZK4M9QX',
      secret: randomBytes(16),
      endpoint: '127.0.0.1:1',
      ca: certificateKeyHash(ca.bundle.roots[0]!),
    };
    codes = await verifiersOf([PIN, link]);
  });

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'palyra-device-'));
    directory = join(parent, 'device');
    server = await PairingServer.start(codes, ca);
    events = [];
    asked = 0;
  });

  afterEach(async () => {
    server.stop();
    await rm(parent, { recursive: true });
  });

  interface Run extends Partial<PairingOptions> {
    readonly proof?: string;
    readonly onEvent?: (event: PairingEvent) => void;
  }

  async function pair({
    proof = formatPinCode(PIN),
    onEvent,
    ...changes
  }: Run = {}): Promise<StoredCertificate> {
    const options: PairingOptions = {
      directory,
      askProof: () => {
        asked += 1;
        return Promise.resolve(proof);
      },
      endpoint: server.endpoint,
      defaultEndpoint: requireEndpoint('127.0.0.1:1'),
      clientKind: 'node',
      platform: 'linux-x64',
      newIdentity: false,
      signal: new AbortController().signal,
      clock: systemClock,
      random: randomBytes,
      ...changes,
    };
    return pairDevice(options, (event) => {
      events.push(event);
      onEvent?.(event);
    });
  }

  /** Pairs, and approves as soon as the device waits. */
  async function pairAndApprove(run: Run = {}): Promise<StoredCertificate> {
    return pair({
      ...run,
      onEvent: (event) => {
        if (event.event === 'waiting_for_approval') void server.approve();
      },
    });
  }

  /** Pairs until the device waits, then interrupts it. */
  async function pairUntilWaiting(run: Run = {}): Promise<void> {
    const stop = new AbortController();
    const error = await failureOf(
      pair({
        ...run,
        signal: stop.signal,
        onEvent: (event) => {
          if (event.event === 'waiting_for_approval') stop.abort(interrupted());
        },
      }),
    );
    expect(error).toMatchObject({ failure: 'interrupted' });
  }

  async function failureOf(work: Promise<unknown>): Promise<unknown> {
    return work.then(
      () => 'succeeded',
      (error: unknown) => error,
    );
  }

  async function stored(): Promise<string[]> {
    const names = await readdir(directory).catch(() => []);
    return names.filter((name) => name.endsWith('.sealed')).sort();
  }

  async function inStore<T>(work: (store: DeviceStoreReader) => Promise<T>): Promise<T> {
    const store = await DeviceStoreReader.open(directory, randomBytes);
    try {
      return await work(store!);
    } finally {
      store!.close();
    }
  }

  it('keeps identity and certificate once an operator has approved', async () => {
    const certificate = await pairAndApprove({ proof: formatPinCode(PIN) });
    expect(events.map(({ event }) => event)).toEqual(['device', 'waiting_for_approval', 'certificate']);
    expect(await stored()).toEqual(['certificate.sealed', 'identity.sealed']);
    const identity = await inStore(readIdentity);
    expect(await inStore(readCertificate)).toMatchObject({
      deviceId: identity!.deviceId,
      fingerprint: certificate.fingerprint,
    });
    expect(createHash('sha256').update(certificate.chain[0]!).digest('hex')).toBe(certificate.fingerprint);
    expect(events[0]).toMatchObject({
      deviceId: identity!.deviceId,
      fingerprint: identityFingerprint(rawIdentityKey(identity!.identityKey)),
    });
    expect(certificate.cluster).toMatchObject({ trustDomain: ca.trustDomain, epoch: 10, sequence: 8 });
  });

  it('keeps everything sealed in files that nobody else may read', async () => {
    await pairUntilWaiting({ proof: formatPinCode(PIN) });
    const pending = await inStore(readPending);
    await server.approve();
    await pair();
    const secrets = [
      pending!.collectToken,
      pending!.identityKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32),
      pending!.certificateKey.export({ format: 'der', type: 'pkcs8' }),
      Buffer.from(PIN.pin),
    ];
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(directory)) {
      const path = join(directory, name);
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      const content = await readFile(path);
      for (const secret of secrets) {
        expect(content.includes(secret)).toBe(false);
        expect(content.includes(secret.toString('base64'))).toBe(false);
      }
    }
  });

  it('leaves nothing behind after a wrong PIN, and does not try again', async () => {
    const error = await failureOf(pair({ proof: formatPinCode(WRONG_PIN) }));
    expect(error).toMatchObject({ kind: 'unauthenticated', reason: 'CONFIRMATION_FAILED' });
    expect(await readdir(parent)).toEqual([]);
    expect(server.proofs).toEqual([]);
    expect(events).toEqual([]);
  });

  it('leaves nothing behind after a code that nobody minted', async () => {
    const error = await failureOf(pair({ proof: 'ZZZZ-000000' }));
    expect(error).toMatchObject({ reason: 'CONFIRMATION_FAILED' });
    expect(await readdir(parent)).toEqual([]);
  });

  it('leaves nothing behind when nobody listens', async () => {
    const error = await failureOf(
      pair({ proof: formatPinCode(PIN), endpoint: requireEndpoint('127.0.0.1:1') }),
    );
    expect(error).toMatchObject({ failure: 'unreachable' });
    expect(await readdir(parent)).toEqual([]);
  });

  it('keeps no identity and nothing pending when it was rejected', async () => {
    const error = await failureOf(
      pair({
        onEvent: (event) => {
          if (event.event === 'waiting_for_approval') server.reject('not one of ours');
        },
      }),
    );
    expect(error).toMatchObject({ failure: 'refused', reason: 'REJECTED' });
    expect((error as Error).message).toContain('not one of ours');
    expect(await stored()).toEqual([]);
  });

  it('keeps nothing when the request has expired', async () => {
    await pairUntilWaiting();
    server.expire();
    expect(await failureOf(pair())).toMatchObject({ failure: 'failed', reason: 'REQUEST_EXPIRED' });
    expect(await stored()).toEqual([]);
  });

  it('goes on after an interruption without asking for a code', async () => {
    await pairUntilWaiting();
    expect(await stored()).toEqual(['pending.sealed']);
    await server.approve();
    await pair();
    expect(asked).toBe(1);
    expect(server.hellos).toHaveLength(1);
    expect(events.map(({ event }) => event)).toEqual([
      'device',
      'waiting_for_approval',
      'resumed',
      'device',
      'certificate',
    ]);
    expect(await stored()).toEqual(['certificate.sealed', 'identity.sealed']);
  });

  it('waits for a server that restarts', async () => {
    const { port } = server.endpoint;
    const certificate = await pair({
      onEvent: (event) => {
        if (event.event === 'waiting_for_approval') server.stop();
        if (event.event === 'disconnected') void server.listen(port).then(async () => server.approve());
      },
    });
    expect(certificate.chain).toHaveLength(2);
    expect(events.map(({ event }) => event)).toEqual([
      'device',
      'waiting_for_approval',
      'disconnected',
      'certificate',
    ]);
  });

  it('begins again when the server knows nothing of an earlier pairing', async () => {
    await pairUntilWaiting();
    server.forget();
    events = [];
    await pairAndApprove();
    expect(events.map(({ event }) => event)).toEqual([
      'resumed',
      'device',
      'dropped',
      'device',
      'waiting_for_approval',
      'certificate',
    ]);
    expect(asked).toBe(2);
  });

  it('drops an unfinished pairing after 8 days without asking anybody', async () => {
    await pairUntilWaiting();
    events = [];
    const clock = new ManualClock(Date.now() + 8 * 24 * 3_600_000);
    await failureOf(pair({ clock, endpoint: requireEndpoint('127.0.0.1:1') }));
    expect(events).toEqual([{ event: 'dropped', why: 'expired' }]);
    expect(await stored()).toEqual([]);
  });

  it('asks Collect when the call breaks off after its proof was recorded', async () => {
    server.misbehaviour.breakOff = 'recorded';
    await pairAndApprove();
    expect(events.map(({ event }) => event)).toEqual(['device', 'waiting_for_approval', 'certificate']);
  });

  it.each([
    ['the call breaks off before that', { breakOff: 'forgotten' as const }, { failure: 'unreachable' }],
    ['a receipt was a lie', { forgeReceipt: true }, { failure: 'failed', reason: 'PAIRING_NOT_FOUND' }],
  ])('keeps nothing when %s', async (_what, misbehaviour, expected) => {
    Object.assign(server.misbehaviour, misbehaviour);
    expect(await failureOf(pair())).toMatchObject(expected);
    expect(await stored()).toEqual([]);
  });

  it.each([['other_key' as const], ['other_device' as const], ['other_ca' as const]])(
    'refuses a certificate of %s and keeps no identity',
    async (certify) => {
      server.misbehaviour.certify = certify;
      expect(await failureOf(pairAndApprove())).toMatchObject({ reason: 'CERTIFICATE_REFUSED' });
      expect(await stored()).toEqual(['pending.sealed']);
    },
  );

  it('keeps the roots of its cluster when the bundle is of another', async () => {
    server.misbehaviour.bundle = (await TestCa.create({ trustDomain: 'other.palyra.internal' })).bundle;
    await pairAndApprove();
    expect((await inStore(readCertificate))!.cluster).toMatchObject(ca.bundle);
  });

  it('sends no proof when the pending record cannot be saved', async () => {
    const askProof = (): Promise<string> => writeFile(directory, 'in the way').then(() => formatPinCode(PIN));
    expect(await failureOf(pair({ askProof }))).toMatchObject({ reason: 'STORE_FILE_UNREADABLE' });
    expect(server.proofs).toEqual([]);
  });

  it('sends no proof when another process has paired at the same time', async () => {
    const askProof = (): Promise<string> => pairAndApprove().then(() => formatPinCode(PIN));
    expect(await failureOf(pair({ askProof }))).toMatchObject({ reason: 'OVERTAKEN' });
    expect(server.proofs).toHaveLength(1);
    expect(await stored()).toEqual(['certificate.sealed', 'identity.sealed']);
  });

  it('does not show its token to a false server', async () => {
    await pairUntilWaiting();
    const { port } = server.endpoint;
    server.stop();
    const falseServer = await PairingServer.start(codes, await TestCa.create());
    falseServer.stop();
    await falseServer.listen(port);
    try {
      expect(await failureOf(pair())).toMatchObject({ failure: 'refused', reason: 'FALSE_SERVER' });
      expect(await stored()).toEqual(['pending.sealed']);
    } finally {
      falseServer.stop();
    }
  });

  it('says unreachable when it cannot go on', async () => {
    await pairUntilWaiting();
    server.stop();
    expect(await failureOf(pair())).toMatchObject({ failure: 'unreachable' });
    expect(await stored()).toEqual(['pending.sealed']);
  });

  it('pairs by link, at the endpoint that the link names', async () => {
    const proof = formatLink({ ...link, endpoint: server.endpoint.text });
    await pairAndApprove({ proof, endpoint: undefined });
    const { trustDomain } = ca.bundle;
    expect(events[0]).toEqual({ event: 'server', endpoint: server.endpoint.text, trustDomain });
    expect(await stored()).toEqual(['certificate.sealed', 'identity.sealed']);
  });

  it('says nothing at all to a server without the key that the link names', async () => {
    const proof = formatLink({ ...link, endpoint: server.endpoint.text, ca: randomBytes(32) });
    expect(await failureOf(pair({ proof }))).toMatchObject({ failure: 'refused', reason: 'FALSE_SERVER' });
    expect(server.hellos).toEqual([]);
    expect(await readdir(parent)).toEqual([]);
  });

  it('pairs again under the identity it has', async () => {
    await pairAndApprove();
    const first = await inStore(readIdentity);
    await pairAndApprove();
    const second = await inStore(readIdentity);
    expect(second!.deviceId).toBe(first!.deviceId);
    expect(second!.identityKey.equals(first!.identityKey)).toBe(true);
  });

  it('makes a new key for its device id when told to, and keeps the old until that is approved', async () => {
    await pairAndApprove();
    const first = await inStore(readIdentity);
    await pairUntilWaiting({ newIdentity: true });
    expect((await inStore(readIdentity))!.identityKey.equals(first!.identityKey)).toBe(true);
    await server.approve();
    await pair();
    const second = await inStore(readIdentity);
    expect(second!.deviceId).toBe(first!.deviceId);
    expect(second!.identityKey.equals(first!.identityKey)).toBe(false);
  });

  it('lets only one process pair', async () => {
    await pairUntilWaiting();
    const other = await DeviceStore.open(directory, randomBytes);
    try {
      expect(await failureOf(pair())).toMatchObject({ reason: 'DEVICE_STORE_IN_USE' });
    } finally {
      other!.close();
    }
  });

  describe('killed while it saves', () => {
    let pending: PendingPairing;

    beforeEach(async () => {
      await pairUntilWaiting();
      pending = (await inStore(readPending))!;
      await server.approve();
    });

    /** A store that dies after so many changes. */
    function dying(store: DeviceStore, changes: number): DeviceStore {
      let left = changes;
      const orDie = (): void => {
        if (left === 0) throw new ClientError('failed', 'KILLED', 'killed');
        left -= 1;
      };
      return new Proxy(store, {
        get(target, name) {
          if (name !== 'write' && name !== 'delete') return Reflect.get(target, name, target) as unknown;
          return async (...given: [never, never]) => {
            orDie();
            await target[name](...given);
          };
        },
      });
    }

    it.each([
      [0, ['pending.sealed']],
      [1, ['identity.sealed', 'pending.sealed']],
      [2, ['certificate.sealed', 'identity.sealed', 'pending.sealed']],
    ])('after %d changes, it ends where it would have', async (changes, left) => {
      const store = (await DeviceStore.open(directory, randomBytes))!;
      const chain = server.requests[0]!.chain;
      const certificate = { ...pending, chain, fingerprint: 'ab', expiresAt: 1 };
      const error = await failureOf(completePairing(dying(store, changes), pending, certificate));
      store.close();
      expect(error).toMatchObject({ reason: 'KILLED' });
      expect(await stored()).toEqual(left);
      const result = await pair();
      expect(await stored()).toEqual(['certificate.sealed', 'identity.sealed']);
      expect((await inStore(readCertificate))!.fingerprint).toBe(result.fingerprint);
    });
  });
});
