import { sign, verify } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { CertificateAuthority } from '../src/ca/certificate-authority.js';
import { markRevoked } from '../src/ca/certificate-index.js';
import { IssuerCrl } from '../src/ca/crl/issuer-crl.js';
import { CertificateInventory } from '../src/ca/inventory/certificate-inventory.js';
import { randomSerial } from '../src/ca/template.js';
import { openStore, type Store } from '../src/database/open-store.js';
import { newDeviceId } from '../src/identity/device-id.js';
import type { DeviceIdentity } from '../src/identity/device-identity.js';
import { readIdentity, writeIdentity } from '../src/identity/enrolment.js';
import { identityFingerprint } from '../src/identity/fingerprint.js';
import { IdentityManager } from '../src/identity/identity-manager.js';
import { PairingQueue } from '../src/pairing/pairing-queue.js';
import { DeviceConnections } from '../src/quic/device-connections.js';
import { systemRandomBytes } from '../src/random/random-bytes.js';
import { systemClock } from '../src/time/clock.js';
import { timeTogether, wallRatioTo, type Case, type Timing } from './harness.js';
import type { Ratio, Result } from './report.js';
import { newKeyPair } from '../src/random/key-pair.js';

/** Certificates in the large store, and as many devices, requests and (in a copy of its list) revocations. */
const MANY = Number(process.env['PALYRA_BENCH_DEVICES'] ?? 100_000);
/** One page, so that the small store answers with as much as the large one. */
const FEW = 100;
const PAGE = 100;
const SETTINGS = { rounds: 15, warmUpMs: 1500, turnMs: 100 };
const DAY = 86_400_000;
/** So many certificates are left for the bench to revoke. */
const TO_REVOKE = 2_000;

/** What operators list and admission looks up, with many devices beside few; and a long revocation list. */
export async function benchRegistry(): Promise<Result[]> {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-bench-'));
  const stores: Filled[] = [];
  try {
    for (const count of [FEW, MANY]) stores.push(await Filled.make(join(directory, String(count)), count));
    const [few, many] = stores;
    if (!few || !many) throw new Error('no stores');
    return [await benchLookUps(few, many), await benchLists(few, many)];
  } finally {
    for (const filled of stores) await filled.store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function benchLookUps(few: Filled, many: Filled): Promise<Result> {
  const [small, large] = [few.cases(), many.cases()];
  const timings = await timeTogether(
    small.flatMap((one, index) => [one, large[index] ?? one]),
    SETTINGS,
  );
  const ratios: Ratio[] = [];
  for (let index = 0; index < timings.length; index += 2) {
    const [limit, timing] = timings.slice(index, index + 2);
    if (!limit || !timing) throw new Error('nothing was measured');
    // Within 1.5 times: at least 0.67 as fast.
    ratios.push({ name: `${timing.name}, beside ${FEW}`, value: wallRatioTo(limit, timing), goal: 0.67 });
  }
  return { name: `a page of ${PAGE} and one device, with ${FEW} and ${MANY} in the store`, timings, ratios };
}

/** A store with rows as the service writes them; one sealed record, since admission opens one. */
class Filled {
  private constructor(
    readonly store: Store,
    private readonly count: number,
    private readonly deviceId: string,
    readonly list: IssuerCrl,
    /** Subjects of certificates that are not revoked. */
    private readonly unrevoked: string[],
  ) {}

  static async make(dataDir: string, count: number): Promise<Filled> {
    const masterKey = { kind: 'default-key-file' } as const;
    const empty = await openStore({ dataDir, masterKey });
    const { keyId } = await authorityOf(empty);
    await empty.close();
    const deviceId = newDeviceId(systemClock, systemRandomBytes);
    const unrevoked = fill(join(dataDir, 'palyra.db'), count, keyId);
    const store = await openStore({ dataDir, masterKey });
    await store.unitOfWork.run((unit) => writeIdentity(unit, identityOf(deviceId)));
    return new Filled(store, count, deviceId, await listOf(store), unrevoked);
  }

  async revokeOne(): Promise<void> {
    const subjectId = this.unrevoked.pop();
    if (subjectId === undefined) throw new Error('all are revoked');
    await this.store.unitOfWork.run((unit) => markRevoked(unit, subjectId, { at: Date.now() }));
  }

  cases(): Case[] {
    const { committed, unitOfWork } = this.store;
    const connections = new DeviceConnections();
    const announceRevocation = (): undefined => undefined;
    const parts = { unitOfWork, committed, clock: systemClock, connections, announceRevocation };
    const identities = new IdentityManager(parts);
    const inventory = new CertificateInventory(committed, systemClock);
    const queue = new PairingQueue(committed, systemClock);
    const cases: Record<string, () => Promise<unknown>> = {
      'admission look-up': () => readIdentity(committed.secrets, this.deviceId),
      'devices list': () => identities.list({ limit: PAGE }),
      'devices list --state active': () => identities.list({ state: 'active', limit: PAGE }),
      'certificates list': () => inventory.list({}, { limit: PAGE }),
      'certificates list --state valid': () => inventory.list({ state: 'valid' }, { limit: PAGE }),
      'pairing list': () => queue.list({ limit: PAGE }),
      'pairing list --state rejected': () => queue.list({ state: 'rejected', limit: PAGE }),
      'metric: next expiry': () => inventory.nextDeviceExpiry(),
    };
    return Object.entries(cases).map(([name, run]) => ({ name: `${name}, ${this.count}`, run }));
  }
}

const authorityOf = (store: Store): Promise<CertificateAuthority> =>
  store.unitOfWork.run((unit) =>
    CertificateAuthority.createOrLoad(unit, { trustDomain: 'bench.example', clock: systemClock }),
  );

async function listOf(store: Store): Promise<IssuerCrl> {
  const [issuer] = (await authorityOf(store)).issuers();
  if (issuer === undefined) throw new Error('no issuer');
  return new IssuerCrl(issuer, {
    unitOfWork: store.unitOfWork,
    committed: store.committed,
    clock: systemClock,
    lifetimeMs: DAY,
    requireSigning: () => undefined,
    onFailure: (error) => {
      throw error;
    },
  });
}

function identityOf(deviceId: string): DeviceIdentity {
  return {
    deviceId,
    clientKind: 'node',
    platform: 'linux',
    identityKey: systemRandomBytes(32),
    pairedAt: Date.now(),
    current: null,
    previous: null,
    suspendedAt: null,
    conflictAt: null,
  };
}

/** Writes rows below TypeORM: what is measured is reading them. Sealed records of as many devices stand beside them. */
export function fill(path: string, count: number, keyId: string): string[] {
  const unrevoked: string[] = [];
  const database = new Database(path);
  const insert = (table: string, columns: readonly string[]): Database.Statement =>
    database.prepare(
      `INSERT INTO "${table}" (${columns.map((column) => `"${column}"`).join()}) VALUES (${columns.map(() => '?').join()})`,
    );
  const device = insert('device', [
    'device_id',
    'state',
    'client_kind',
    'platform',
    'identity_fingerprint',
    'paired_at',
    'certificate_fingerprint',
    'certificate_expires_at',
  ]);
  const certificate = insert('certificate', [
    'fingerprint',
    'serial',
    'issuer_key_id',
    'profile',
    'subject_id',
    'subject',
    'issued_at',
    'expires_at',
    'pem',
  ]);
  const revocation = insert('revocation', [
    'certificate_sequence',
    'issuer_key_id',
    'serial',
    'revoked_at',
    'expires_at',
    'reason_code',
  ]);
  const request = insert('pairing_request', [
    'request_id',
    'state',
    'device_id',
    'client_kind',
    'platform',
    'identity_fingerprint',
    'source_address',
    'code_id',
    'code_created_by',
    'token_hash',
    'created_at',
    'expires_at',
  ]);
  const secret = insert('secret', ['name', 'record']);
  const now = Date.now();
  database.transaction(() => {
    for (let index = 0; index < count; index += 1) {
      const id = newDeviceId(systemClock, systemRandomBytes);
      const fingerprint = systemRandomBytes(32).toString('hex');
      const serial = randomSerial(systemRandomBytes).toString('hex');
      const expiresAt = now + DAY + index;
      const key = identityFingerprint(systemRandomBytes(32));
      device.run(id, 'active', 'node', 'linux', key, now, fingerprint, expiresAt);
      const { lastInsertRowid } = certificate.run(
        fingerprint,
        serial,
        keyId,
        'device',
        `device/${id}`,
        `CN=${id}`,
        now,
        expiresAt,
        'x'.repeat(900),
      );
      if (count === MANY && index < TO_REVOKE) unrevoked.push(`device/${id}`);
      else revocation.run(lastInsertRowid, keyId, serial, now, expiresAt, index % 2 === 0 ? null : 4);
      request.run(
        id,
        'rejected',
        id,
        'node',
        'linux',
        key,
        '192.0.2.1',
        'ABCD',
        'operator/x',
        fingerprint,
        now,
        now,
      );
      secret.run(`device/${id}`, systemRandomBytes(500));
    }
  })();
  database.close();
  return unrevoked;
}

/** A list of all of them: the first one, the next one after each revocation, and asking when there is nothing new. */
async function benchLists(few: Filled, many: Filled): Promise<Result> {
  await few.list.current();
  const first = await withLongestTurn(() => many.list.current());
  const { der } = first.result;
  const { privateKey, publicKey } = newKeyPair('p256');
  const turns: number[] = [];
  const cases: Case[] = [
    {
      name: `limit: sign and verify ${der.length} bytes`,
      run: () => verify('sha256', der, publicKey, sign('sha256', der, privateKey)),
    },
    {
      name: 'revoke one, and the list anew',
      run: async () => {
        await many.revokeOne();
        const { longestTurnMs } = await withLongestTurn(() => many.list.current());
        turns.push(longestTurnMs);
      },
    },
    { name: `ask for the list, ${FEW} in it`, run: () => few.list.current() },
    { name: `ask for the list, ${MANY} in it`, run: () => many.list.current() },
  ];
  const timings: readonly Timing[] = await timeTogether(cases, SETTINGS);
  const [limit, anew, askFew, askMany] = timings;
  if (!limit || !anew || !askFew || !askMany) throw new Error('nothing was measured');
  const ratios: Ratio[] = [
    { name: `asking, ${MANY} beside ${FEW}`, value: wallRatioTo(askFew, askMany), goal: 0.67 },
    { name: 'the list anew, beside its signature', value: wallRatioTo(limit, anew) },
    { name: 'the first list, ms', value: first.elapsedMs },
    { name: 'longest turn of the event loop meanwhile, ms', value: first.longestTurnMs },
    { name: 'the same for the list anew, ms (worst)', value: Math.max(...turns) },
  ];
  return { name: `revocation lists, ${MANY} revoked`, timings, ratios };
}

/** How long others had to wait for the event loop at worst while `work` ran. */
async function withLongestTurn<T>(
  work: () => Promise<T>,
): Promise<{ result: T; longestTurnMs: number; elapsedMs: number }> {
  const start = performance.now();
  let last = start;
  let longest = 0;
  let running = true;
  const look = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (running) setImmediate(look);
  };
  setImmediate(look);
  const result = await work();
  running = false;
  look();
  return { result, longestTurnMs: longest, elapsedMs: performance.now() - start };
}
