import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UnitOfWork } from '../../src/database/unit-of-work.js';
import { ADMIN_TOKEN_FILE, ensureFirstAdmin, type FirstAdminParts } from '../../src/operators/first-admin.js';
import { hasOperators, newOperator, OperatorRegister } from '../../src/operators/operator-register.js';
import { formatOperatorToken, parseOperatorToken } from '../../src/operators/token.js';
import { ManualClock } from '../../src/time/clock.js';
import { TemporaryStore } from '../store/temporary-store.js';

const CA = Buffer.alloc(32, 7);
const clock = new ManualClock(1_780_000_000_000);
const parts = { caKeyHash: CA, random: randomBytes, clock };

let temporary: TemporaryStore;
let register: OperatorRegister;
beforeEach(async () => {
  temporary = await TemporaryStore.open({ clock });
  register = new OperatorRegister(temporary.store.committed.secrets);
});
afterEach(async () => {
  await temporary.remove();
});

describe('the register of operators', () => {
  it('knows an operator and its role by the token', async () => {
    const viewer = newOperator('viewer', parts);
    await temporary.store.unitOfWork.run((unit) => viewer.record(unit));
    const expected = { operatorId: viewer.operatorId, role: 'viewer' };
    expect(await register.authenticate(viewer.tokenText)).toEqual(expected);
  });

  it('knows nobody by a wrong secret, an unknown id, or what is no token', async () => {
    const admin = newOperator('admin', parts);
    await temporary.store.unitOfWork.run((unit) => admin.record(unit));
    const token = parseOperatorToken(admin.tokenText);
    const wrongSecret = formatOperatorToken({ ...token, secret: randomBytes(32) });
    const unknown = newOperator('admin', parts).tokenText;
    for (const text of [wrongSecret, unknown, `${admin.tokenText} `, admin.tokenText.toUpperCase(), '']) {
      expect(await register.authenticate(text)).toBeUndefined();
    }
  });

  it('keeps no token', async () => {
    const admin = newOperator('admin', parts);
    await temporary.store.unitOfWork.run((unit) => admin.record(unit));
    const record = await temporary.store.committed.secrets.read(`operator/${admin.operatorId}`);
    const { secret } = parseOperatorToken(admin.tokenText);
    for (const form of [secret.toString('hex'), secret.toString('base64'), admin.tokenText]) {
      expect(record!.includes(form)).toBe(false);
    }
  });
});

describe('the first admin', () => {
  const firstAdmin = (changes: Partial<FirstAdminParts> = {}): Promise<void> =>
    ensureFirstAdmin({ ...temporary.store, dataDir: temporary.dataDir, ...parts, ...changes });
  const path = (): string => join(temporary.dataDir, ADMIN_TOKEN_FILE);

  it('finds its token in a file that nobody else may read, also where another one was', async () => {
    await writeFile(`${path()}.new`, 'left over');
    await chmod(`${path()}.new`, 0o644);
    await firstAdmin();
    expect((await stat(path())).mode & 0o777).toBe(0o600);
    const text = (await readFile(path(), 'utf8')).trimEnd();
    expect(await register.authenticate(text)).toMatchObject({ role: 'admin' });
  });

  it('is made once', async () => {
    await firstAdmin();
    const text = await readFile(path(), 'utf8');
    await firstAdmin();
    expect(await readFile(path(), 'utf8')).toBe(text);
    expect(await temporary.store.committed.secrets.list('operator/')).toHaveLength(1);
  });

  it('is made again when the process ended before its record was durable', async () => {
    const unitOfWork: UnitOfWork = { run: () => Promise.reject(new Error('killed')) };
    await expect(firstAdmin({ unitOfWork })).rejects.toThrow('killed');
    const useless = (await readFile(path(), 'utf8')).trimEnd();
    expect(await register.authenticate(useless)).toBeUndefined();
    expect(await hasOperators(temporary.store.committed.secrets)).toBe(false);
    await firstAdmin();
    const text = (await readFile(path(), 'utf8')).trimEnd();
    expect(await register.authenticate(text)).toMatchObject({ role: 'admin' });
  });
});
