import { createPublicKey } from 'node:crypto';
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parseEntryLine, parseHeadLine } from '../../src/audit/audit-export.js';
import type { AuditEntry } from '../../src/audit/audit-entry.js';
import type { SignedAuditHead } from '../../src/audit/audit-head.js';
import { type AuditFinding, verifyExport } from '../../src/audit/audit-verification.js';
import { CertificateRow } from '../../src/ca/certificate.entity.js';
import { makeCsr } from '../../src/ca/csr-maker.js';
import type { Renewals } from '../../src/identity/renewals.js';
import { AuditPruner } from '../../src/retention/audit-pruner.js';
import { requireSegment } from '../../src/retention/audit-segment.js';
import { CertificatePruner } from '../../src/retention/certificate-pruner.js';
import { Retention } from '../../src/retention/retention.js';
import { ServiceHolds } from '../../src/service-holds/service-holds.js';
import { PairingWorld, refusal } from '../pairing/pairing-world.js';
import { DEVICE_ADDRESS, RenewingDevice, renewalsOf } from '../pairing/renewing-device.js';

const DAY_MS = 86_400_000;
const KEPT_MS = 90 * DAY_MS;
const always = (): boolean => true;

let world: PairingWorld;
let renewals: Renewals;
beforeEach(async () => {
  world = await PairingWorld.open();
  renewals = renewalsOf(world, { policy: { returnGraceMs: 1_000 * DAY_MS } });
});
afterEach(async () => {
  await world.remove();
});

const certificatePruner = (): CertificatePruner =>
  new CertificatePruner(world.temporary.store.unitOfWork, world.temporary.store.committed, KEPT_MS);

const inIndex = async (): Promise<string[]> =>
  (await world.temporary.store.committed.tables.find(CertificateRow)).map(({ fingerprint }) => fingerprint);

describe('expired certificates', () => {
  it('go after their time, and not before; roots stay', async () => {
    const device = await RenewingDevice.enrolled(world);
    const before = await inIndex();
    const first = device.newest;
    for (let i = 0; i < 3; i++) await device.renew(world, renewals);
    const pruner = certificatePruner();
    world.clock.advance(DAY_MS + KEPT_MS - 1);
    expect(await pruner.due(world.clock.now())).toBe(0);
    world.clock.advance(1);
    expect(await pruner.due(world.clock.now())).toBe(2);
    expect(await pruner.prune(world.clock.now(), () => false)).toBe(0);
    expect(await pruner.prune(world.clock.now(), always)).toBe(2);
    const after = await inIndex();
    expect(after).not.toContain(first);
    expect(after).toContain(device.newest);
    // The root, and what the sealed identity lists.
    expect(after).toHaveLength(before.length - 1 + 2);
    expect((await world.actions()).at(-1)).toBe('store.pruned');
    expect(await pruner.prune(world.clock.now(), always)).toBe(0);
  });

  it('that a sealed identity lists stay, so that their keys stay those of that device', async () => {
    const sleeping = await RenewingDevice.enrolled(world);
    const key = sleeping.of.certificateKey;
    world.clock.advance(400 * DAY_MS);
    const other = await RenewingDevice.enrolled(world);
    expect(await certificatePruner().prune(world.clock.now(), always)).toBe(0);
    const input = other.requestFor(world, makeCsr(key));
    expect((await refusal(renewals.renew(input, DEVICE_ADDRESS))).reason).toBe('KEY_IN_USE');
    await sleeping.renew(world, renewals);
  });

  it('that a pairing request names stay as long as its row', async () => {
    const device = await world.paired();
    const { fingerprint } = await world.approve(device.requestId);
    await world.collectOnce(device.token);
    await world.identities.revoke(
      { kind: 'operator', operatorId: '7zk4m9qx', role: 'admin', source: '192.0.2.10' },
      device.deviceId,
      '',
    );
    world.clock.advance(400 * DAY_MS);
    expect(await certificatePruner().prune(world.clock.now(), always)).toBe(0);
    await world.housekeeping.run();
    expect(await certificatePruner().prune(world.clock.now(), always)).toBe(1);
    expect(await inIndex()).not.toContain(fingerprint);
  });
});

describe('old audit entries', () => {
  const directory = (): string => join(world.temporary.dataDir, 'audit');
  const auditPruner = (segmentEntries: number): AuditPruner =>
    new AuditPruner({
      store: world.temporary.store,
      directory: directory(),
      keptForMs: KEPT_MS,
      segmentEntries,
    });

  interface Segment {
    readonly entries: AuditEntry[];
    readonly head: SignedAuditHead;
  }

  async function readSegment(name: string): Promise<Segment> {
    const lines = (await readFile(join(directory(), name), 'utf8')).trimEnd().split('\n');
    const head = parseHeadLine(lines.pop()!);
    return { entries: lines.map((line, index) => parseEntryLine(line, index + 1)), head };
  }

  async function rest(): Promise<Segment> {
    const entries: AuditEntry[] = [];
    for await (const item of world.temporary.store.auditLog.export()) {
      if ('head' in item) return { entries, head: item.head };
      entries.push(item.entry);
    }
    throw new Error('no head');
  }

  async function findings({ entries, head }: Segment, since: Segment | undefined): Promise<AuditFinding[]> {
    const { auditLog, storeId } = world.temporary.store;
    const auditKey = createPublicKey({ key: await auditLog.publicKey(), format: 'der', type: 'spki' });
    return verifyExport(entries, head, { auditKey, storeId, since: since?.head ?? null });
  }

  async function history(length: number): Promise<void> {
    for (let i = 0; i < length; i++) {
      await world.temporary.store.unitOfWork.run(({ audit }) => {
        audit.append({ actor: 'system', source: 'local', action: 'test.done', subject: `n/${i}` });
        return Promise.resolve();
      });
    }
  }

  it('move into files that verify one behind the other, and the rest behind them', async () => {
    await history(10);
    const all = await rest();
    world.clock.advance(2 * KEPT_MS);
    await history(3);
    const pruner = auditPruner(5);
    const old = all.entries.length;
    expect(await pruner.due(world.clock.now())).toBe(old);
    expect(await pruner.prune(world.clock.now(), always)).toBe(old);

    const names = (await readdir(directory())).sort();
    expect(names[0]).toBe(`audit-${all.entries[0]!.epoch}-000000000001-000000000005.jsonl`);
    const segments = await Promise.all(names.map(readSegment));
    expect(segments.flatMap(({ entries }) => entries)).toEqual(all.entries);
    const left = await rest();
    const chain = [...segments, left];
    for (const [index, part] of chain.entries()) {
      expect(await findings(part, chain[index - 1])).toEqual([]);
    }
    expect(left.entries[0]?.sequence).toBe(old + 1);
    expect(await findings(left, segments.at(-2))).not.toEqual([]);
    expect(await findings(left, undefined)).toEqual([{ finding: 'removed', sequence: 1 }]);
    expect((await stat(join(directory(), names[0]!))).mode & 0o777).toBe(0o600);
    const exported = left.entries.filter(({ action }) => action === 'audit.segment_exported');
    expect(exported.map(({ details }) => (JSON.parse(details) as { file: string }).file)).toEqual(names);

    await world.temporary.reopen();
    await history(1);
    expect(await findings(await rest(), segments.at(-1))).toEqual([]);
  });

  it('stay while they are young, and the last one always', async () => {
    await history(4);
    const count = (await rest()).entries.length;
    world.clock.advance(KEPT_MS - 1);
    expect(await auditPruner(2).prune(world.clock.now(), always)).toBe(0);
    world.clock.advance(KEPT_MS);
    expect(await auditPruner(100).prune(world.clock.now(), always)).toBe(count - 1);
    expect((await rest()).entries[0]?.sequence).toBe(count);
  });

  it('killed between the file and the removal, the next round makes the same file', async () => {
    await history(4);
    world.clock.advance(2 * KEPT_MS);
    let asked = 0;
    const pruner = auditPruner(4);
    expect(await pruner.prune(world.clock.now(), () => (asked += 1) < 2)).toBe(0);
    const [name] = await readdir(directory());
    const first = await readFile(join(directory(), name!));
    expect((await rest()).entries[0]?.sequence).toBe(1);
    expect(await pruner.prune(world.clock.now(), always)).toBeGreaterThan(0);
    expect(await readFile(join(directory(), name!))).toEqual(first);
  });

  it('stay when the file is there already and tells another history, and so does the file', async () => {
    await history(4);
    world.clock.advance(2 * KEPT_MS);
    let asked = 0;
    const pruner = auditPruner(4);
    await pruner.prune(world.clock.now(), () => (asked += 1) < 2);
    const [name] = await readdir(directory());
    const path = join(directory(), name!);
    const other = (await readFile(path, 'utf8')).replace('n/0', 'n/1');
    await writeFile(path, other);
    await expect(pruner.prune(world.clock.now(), always)).rejects.toMatchObject({
      kind: 'corrupt',
      reason: 'AUDIT_SEGMENT_DIFFERS',
    });
    expect(await readFile(path, 'utf8')).toBe(other);
    expect((await rest()).entries[0]?.sequence).toBe(1);
  });

  it('stay when their file does not verify', async () => {
    await history(4);
    world.clock.advance(2 * KEPT_MS);
    await auditPruner(4).prune(world.clock.now(), always);
    const [name] = await readdir(directory());
    const path = join(directory(), name!);
    const { auditLog, storeId } = world.temporary.store;
    const trust = { auditKey: await auditLog.publicKey(), storeId, before: null };
    await requireSegment(path, 4, trust);
    await writeFile(path, (await readFile(path, 'utf8')).replace('n/0', 'n/1'));
    await expect(requireSegment(path, 4, trust)).rejects.toMatchObject({ reason: 'AUDIT_SEGMENT_DAMAGED' });
    await expect(requireSegment(path, 5, trust)).rejects.toMatchObject({ reason: 'AUDIT_SEGMENT_DAMAGED' });
  });
});

describe('retention', () => {
  it('removes nothing while something holds it up, not even between two units', async () => {
    const holds = new ServiceHolds();
    let units = 0;
    const pruner = {
      what: 'test',
      keptForMs: 1,
      due: () => Promise.resolve(3),
      prune: (_now: number, mayGoOn: () => boolean) => {
        while (units < 3 && mayGoOn()) {
          units += 1;
          if (units === 2) holds.raise({ reason: 'TEST_HOLD', stops: ['pruning'], message: 'wait' });
        }
        return Promise.resolve(units);
      },
    };
    const failures: unknown[] = [];
    const retention = new Retention({
      clock: world.clock,
      holds,
      pruners: [pruner],
      everyMs: 1_000_000,
      onFailure: (error) => failures.push(error),
    });
    expect(await retention.run()).toEqual([{ what: 'test', keptForMs: 1, count: 2 }]);
    expect((await refusal(retention.run())).reason).toBe('TEST_HOLD');
    expect(await retention.plan()).toEqual([{ what: 'test', keptForMs: 1, count: 3 }]);
    retention.onApplicationBootstrap();
    await retention.onModuleDestroy();
    expect([units, failures]).toEqual([2, []]);
  });
});
