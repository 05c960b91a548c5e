import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CertificateRow } from '../../src/ca/certificate.entity.js';
import { ColumnLookUp, RowInsert, RowUpsert } from '../../src/database/row-statements.js';
import type { Unit } from '../../src/database/unit-of-work.js';
import { type DeviceFields, DeviceRow } from '../../src/identity/device.entity.js';
import { TemporaryStore } from './temporary-store.js';

const insertCertificate = new RowInsert(CertificateRow, 'sequence');
const upsertDevice = new RowUpsert(DeviceRow, 'deviceId');
const subjectByKeyHash = new ColumnLookUp(CertificateRow, 'keyHash', 'subjectId');

const certificate = (serial: string, keyHash: string | null): Omit<CertificateRow, 'sequence'> => ({
  fingerprint: `fingerprint of ${serial}`,
  keyHash,
  serial,
  issuerKeyId: 'issuer',
  profile: 'device',
  subjectId: `device/${serial}`,
  subject: `CN="${serial}'; DROP TABLE device; --`,
  issuedAt: Date.UTC(2026, 0, 1),
  expiresAt: Number.MAX_SAFE_INTEGER,
  revokedAt: null,
  pem: 'text',
});

const device: DeviceFields = {
  deviceId: 'one',
  state: 'active',
  clientKind: 'node',
  platform: 'linux',
  identityFingerprint: 'aa',
  pairedAt: Date.UTC(2026, 0, 1) + 1,
  certificateFingerprint: 'bb',
  certificateExpiresAt: Date.UTC(2026, 0, 2) + 1,
  conflictAt: null,
  revokedAt: Date.UTC(2026, 0, 3),
  revokedBy: 'operator/one',
  revokeReason: null,
};

describe('row statements', () => {
  let temporary: TemporaryStore;
  const run = <T>(work: (unit: Unit) => Promise<T>): Promise<T> => temporary.store.unitOfWork.run(work);

  beforeEach(async () => {
    temporary = await TemporaryStore.open();
  });

  afterEach(async () => {
    await temporary.remove();
  });

  it('inserts rows that TypeORM reads back whole, and returns the numbers they were given', async () => {
    const first = await run(({ tables }) => insertCertificate.run(tables, certificate('01', 'k')));
    const second = await run(({ tables }) => insertCertificate.run(tables, certificate('02', null)));
    expect(second).toBe(first + 1);
    const { tables } = temporary.store.committed;
    expect(await tables.findOneBy(CertificateRow, { serial: '01' })).toEqual({
      sequence: first,
      ...certificate('01', 'k'),
    });
    expect(await tables.findOneBy(CertificateRow, { serial: '02' })).toEqual({
      sequence: second,
      ...certificate('02', null),
    });
  });

  it('stores numbers as integers, as TypeORM does', async () => {
    await run(async ({ tables }) => {
      await insertCertificate.run(tables, certificate('01', 'k'));
      await upsertDevice.run(tables, device);
    });
    const { tables } = temporary.store.committed;
    const [kinds] = await tables.query<unknown[]>(
      `SELECT typeof("issued_at") AS issued, typeof("expires_at") AS expires, typeof("revoked_at") AS revoked FROM "certificate"
       WHERE "serial" = '01'`,
    );
    expect(kinds).toEqual({ issued: 'integer', expires: 'integer', revoked: 'null' });
    const [paired] = await tables.query<unknown[]>(`SELECT typeof("paired_at") AS paired FROM "device"`);
    expect(paired).toEqual({ paired: 'integer' });
  });

  it('refuses a second row where one alone may stand, and nothing of its unit stays', async () => {
    await run(({ tables }) => insertCertificate.run(tables, certificate('01', 'k')));
    const twice = run(async ({ tables }) => {
      await upsertDevice.run(tables, device);
      await insertCertificate.run(tables, certificate('01', 'k'));
    });
    await expect(twice).rejects.toThrow(/UNIQUE constraint failed/);
    const { tables } = temporary.store.committed;
    expect(await tables.countBy(CertificateRow, { serial: '01' })).toBe(1);
    expect(await tables.count(DeviceRow)).toBe(0);
  });

  it('refuses a number that 64-bit columns cannot give back', async () => {
    const row = { ...device, pairedAt: 2 ** 53 };
    const refused = run(({ tables }) => upsertDevice.run(tables, row));
    await expect(refused).rejects.toMatchObject({ reason: 'INTEGER_OUT_OF_RANGE' });
  });

  it('writes every column in place of the row with the same key, and no other row', async () => {
    const other = { ...device, deviceId: 'two', identityFingerprint: 'cc' };
    const after: DeviceFields = {
      ...device,
      state: 'suspended',
      platform: 'windows',
      identityFingerprint: 'dd',
      certificateFingerprint: null,
      certificateExpiresAt: null,
      conflictAt: Date.UTC(2026, 0, 4),
      revokedAt: null,
      revokedBy: null,
      revokeReason: 'lost',
    };
    await run(async ({ tables }) => {
      for (const row of [device, other, after]) await upsertDevice.run(tables, row);
    });
    const rows = await temporary.store.committed.tables.find(DeviceRow, { order: { deviceId: 'ASC' } });
    expect(rows).toEqual([after, other]);
  });

  it('finds a column by another one, inside of a unit and outside of it', async () => {
    const inUnit = await run(async ({ tables }) => {
      await insertCertificate.run(tables, certificate('01', 'k'));
      await insertCertificate.run(tables, certificate('02', 'k'));
      await insertCertificate.run(tables, certificate('03', 'other'));
      expect(await subjectByKeyHash.find(temporary.store.committed.tables, 'k')).toEqual([]);
      return subjectByKeyHash.find<string>(tables, 'k');
    });
    expect(inUnit.sort()).toEqual(['device/01', 'device/02']);
    const { tables } = temporary.store.committed;
    expect(await subjectByKeyHash.find(tables, 'other')).toEqual(['device/03']);
    expect(await subjectByKeyHash.find(tables, `k' OR '1' = '1`)).toEqual([]);
  });
});
