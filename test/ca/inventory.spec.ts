import 'reflect-metadata';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CertificateRow } from '../../src/ca/certificate.entity.js';
import { CertificateRow as Certificates } from '../../src/ca/certificate.entity.js';
import { markRevoked } from '../../src/ca/certificate-index.js';
import { CertificateInventory, type InventoryFilter } from '../../src/ca/inventory/certificate-inventory.js';
import { newDeviceId } from '../../src/identity/device-id.js';
import { DeviceRow } from '../../src/identity/device.entity.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { ManualClock } from '../../src/time/clock.js';
import { plansOf } from '../store/query-plan.js';
import { TemporaryStore } from '../store/temporary-store.js';

const NOW = 1_780_000_000_000;
const HOUR = 3_600_000;
const clock = new ManualClock(NOW);

let directory: TemporaryStore;
let inventory: CertificateInventory;
/** By hours until their end, from −3 to 6; certificate 4 and the dead one −2 are revoked. */
const byHours = new Map<number, { fingerprint: string; deviceId: string }>();

beforeAll(async () => {
  directory = await TemporaryStore.open({ clock });
  inventory = new CertificateInventory(directory.store.committed, clock);
  for (const hours of [5, -3, 1, 4, -2, 6, -1, 2, 3]) await enter(hours);
  clock.advance(-5 * HOUR);
  for (const hours of [4, -2]) {
    const { deviceId = '' } = byHours.get(hours) ?? {};
    await directory.store.unitOfWork.run((unit) =>
      markRevoked(unit, `device/${deviceId}`, { at: clock.now() }),
    );
  }
  clock.advance(5 * HOUR);
});

afterAll(() => directory.remove());

/** A row of the index and one of the registry; the inventory reads nothing else. */
async function enter(hours: number): Promise<void> {
  const deviceId = newDeviceId(clock, systemRandomBytes);
  const fingerprint = systemRandomBytes(32).toString('hex');
  byHours.set(hours, { fingerprint, deviceId });
  const expiresAt = NOW + hours * HOUR;
  const row: Omit<CertificateRow, 'sequence'> = {
    fingerprint,
    keyHash: null,
    serial: systemRandomBytes(16).toString('hex'),
    issuerKeyId: 'a'.repeat(40),
    profile: 'device',
    subjectId: `device/${deviceId}`,
    subject: 'CN=x',
    issuedAt: expiresAt - 24 * HOUR,
    expiresAt,
    revokedAt: null,
    pem: '',
  };
  await directory.store.unitOfWork.run(async ({ tables }) => {
    await tables.insert(Certificates, row);
    await tables.insert(DeviceRow, {
      deviceId,
      state: hours === 4 ? 'revoked' : 'active',
      clientKind: 'node',
      platform: '',
      identityFingerprint: systemRandomBytes(32).toString('hex'),
      pairedAt: NOW,
      certificateFingerprint: hours === 5 ? 'f'.repeat(64) : fingerprint,
      certificateExpiresAt: expiresAt,
    });
  });
}

const hoursOf = (items: readonly { expiresAt: number }[]): number[] =>
  items.map(({ expiresAt }) => (expiresAt - NOW) / HOUR);

async function listed(filter: InventoryFilter, limit = 100): Promise<number[]> {
  return hoursOf((await inventory.list(filter, { limit })).certificates);
}

describe('the inventory', () => {
  it('lists what ends first in front, by state, device and range', async () => {
    expect(await listed({})).toEqual([-3, -2, -1, 1, 2, 3, 4, 5, 6]);
    expect(await listed({ state: 'valid' })).toEqual([1, 2, 3, 5, 6]);
    expect(await listed({ state: 'expired' })).toEqual([-3, -1]);
    expect(await listed({ state: 'revoked' })).toEqual([-2, 4]);
    expect(await listed({ expiresFrom: NOW + 2 * HOUR, expiresBefore: NOW + 5 * HOUR })).toEqual([2, 3, 4]);
    expect(await listed({ subjectId: `device/${byHours.get(3)?.deviceId ?? ''}` })).toEqual([3]);
  });

  it('says the state of each, and which is the newest of its device', async () => {
    const { certificates } = await inventory.list({}, { limit: 100 });
    expect(certificates.map(({ state }) => state)).toEqual([
      'expired',
      'revoked',
      'expired',
      ...['valid', 'valid', 'valid'],
      'revoked',
      ...['valid', 'valid'],
    ]);
    expect(hoursOf(certificates.filter(({ current }) => !current))).toEqual([5]);
  });

  it('turns pages without gap or repetition, also among those that end together', async () => {
    for (const hours of [7, 7, 7, 7]) await enter(hours);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await inventory.list({ state: 'valid' }, { limit: 2, cursor });
      expect(page.certificates.length).toBeLessThanOrEqual(2);
      seen.push(...page.certificates.map(({ fingerprint }) => fingerprint));
      cursor = page.next;
    } while (cursor !== undefined);
    const all = await inventory.list({ state: 'valid' }, { limit: 100 });
    expect(seen).toEqual(all.certificates.map(({ fingerprint }) => fingerprint));
    expect(new Set(seen).size).toBe(9);
  });

  it.each(['x', '1x', '1x2x3', '-1x2', '1e3x2'])('refuses the cursor %s', async (cursor) => {
    const refused = inventory.list({}, { limit: 1, cursor });
    await expect(refused).rejects.toMatchObject({ kind: 'malformed', reason: 'INVALID_PAGE' });
  });

  it('counts by state', async () => {
    expect(await inventory.count({})).toEqual({ valid: 9, expired: 2, revoked: 2 });
    expect(await inventory.count({ expiresBefore: NOW + 3 * HOUR })).toEqual({
      valid: 2,
      expired: 2,
      revoked: 1,
    });
  });

  it('knows when the next certificate of an active device ends', async () => {
    expect(await inventory.nextDeviceExpiry()).toBe(NOW + HOUR);
  });

  it.each<[string, InventoryFilter]>([
    ['all', {}],
    ['valid', { state: 'valid' }],
    ['expired', { state: 'expired' }],
    ['revoked', { state: 'revoked' }],
    ['a range', { state: 'valid', expiresBefore: NOW + HOUR }],
  ])('walks in an index and sorts nothing: %s', async (_name, filter) => {
    const [plan] = await plansOf(directory.store, 'certificate', () =>
      inventory.list(filter, { limit: 10, cursor: `${NOW}x1` }),
    );
    expect(plan).toMatch(/USING (COVERING )?INDEX certificate_(expires_at|unrevoked|revoked)/);
    expect(plan).not.toMatch(/SCAN certificate(?! USING)|TEMP B-TREE/);
  });
});
