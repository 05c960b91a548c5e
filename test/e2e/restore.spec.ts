import { mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { renewDevice } from '../../src/client/device/renewal.js';
import { PairingState } from '../../src/generated/palyra/controlplane/v1/pairing.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { systemClock } from '../../src/time/clock.js';
import { type CliResult, runCommand } from '../cli/cli-run.js';
import { TestDevice, approving, failureOf, mintPin, pairedDevice, reasonOf } from './paired-device.js';
import { objectsOf, palyra } from './palyra-command.js';
import { ServiceProcess } from './service-process.js';

jest.setTimeout(60_000);

const QUARANTINE = 'STORE_QUARANTINE';

/** A store is backed up, used, lost, restored and confirmed; each step builds on those before it. */
describe('a store that is restored from a backup', () => {
  let service: ServiceProcess;
  let root: string;
  let kept: TestDevice;
  let renewed: TestDevice;
  let revoked: TestDevice;
  let later: TestDevice;
  let waiting: TestDevice;
  const at = (name: string): string => join(root, name);

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'palyra-restore-'));
    service = await ServiceProcess.start();
    const operator = await service.operator();
    kept = await pairedDevice(service, operator);
    renewed = await pairedDevice(service, operator);
    revoked = await pairedDevice(service, operator);
    waiting = await TestDevice.create();
    await waiting.pairUntilWaiting(service.grpc, await mintPin(operator));
  });

  afterAll(async () => {
    for (const device of [kept, renewed, revoked, later, waiting]) await device.remove();
    await service.remove();
    await rm(root, { recursive: true });
  });

  const environment = (): Record<string, string> => ({
    PALYRA_ENDPOINT: service.grpc.text,
    PALYRA_DATA_DIR: service.dataDir,
    XDG_STATE_HOME: at('state'),
  });
  const run = (...commandLine: string[]): Promise<CliResult> =>
    runCommand(commandLine, { environment: environment() });
  const ready = async (): Promise<unknown> => (await fetch(`${service.http}/readyz`)).json();
  const renew = async (device: TestDevice): Promise<void> => {
    const { certificate } = await renewDevice({
      directory: device.directory,
      endpoint: service.grpc,
      signal: new AbortController().signal,
      clock: systemClock,
      random: systemRandomBytes,
    });
    device.certificate = certificate;
  };

  it('was copied while it served, by a process, to a file of its own', async () => {
    const result = await palyra(['store', 'backup', '--out', at('backup.db'), '--json'], {
      environment: environment(),
    });
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
    const { storeId, sequence } = await (await service.operator()).getStatus();
    expect(objectsOf(result.stdout)).toEqual([
      expect.objectContaining({
        file: at('backup.db'),
        store: storeId.toString('hex'),
        sequence: Number(sequence),
      }),
    ]);
    expect((await stat(at('backup.db'))).mode & 0o777).toBe(0o600);
    expect(await readdir(root)).toEqual(['backup.db', 'state']);
    expect((await readdir(service.dataDir)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    const audit = await run('audit', 'list', '--action', 'store.', '--json');
    expect(audit.objects().at(-1)).toMatchObject({
      entry: { action: 'store.backed_up', sequence: String(sequence) },
    });
  });

  it('has nothing to confirm as long as it was not restored', async () => {
    const operator = await service.operator();
    expect(reasonOf(await failureOf(operator.confirmRestore({})))).toBe('NOT_RESTORED');
  });

  it('is never written over a file that is there', async () => {
    const before = await stat(at('backup.db'));
    const result = await run('store', 'backup', '--out', at('backup.db'), '--json');
    expect([result.code, JSON.parse(result.stderr)]).toEqual([
      1,
      expect.objectContaining({ error: 'BACKUP_EXISTS' }),
    ]);
    expect((await stat(at('backup.db'))).ino).toBe(before.ino);
  });

  it('is not restored over the store that is in use, nor without its key', async () => {
    expect(JSON.parse((await run('store', 'restore', at('backup.db'), '--json')).stderr)).toMatchObject({
      error: 'STORE_IN_USE',
    });
    const elsewhere = await runCommand(['store', 'restore', at('backup.db'), '--json'], {
      environment: { PALYRA_DATA_DIR: at('elsewhere') },
    });
    expect(JSON.parse(elsewhere.stderr)).toMatchObject({ error: 'STORE_KEY_MISSING' });
  });

  it('says what an audit export knows to have come later', async () => {
    const operator = await service.operator();
    await operator.revokeDevice({ deviceId: revoked.paired.deviceId, reason: 'stolen' });
    later = await pairedDevice(service, operator);
    await renew(renewed);
    expect((await run('audit', 'export', '--out', at('audit.jsonl'))).code).toBe(0);
    await service.stop();
    // What is lost is the database; the key was kept elsewhere.
    for (const name of ['palyra.db', 'palyra.db-wal', 'palyra.db-shm']) {
      await rename(join(service.dataDir, name), at(name)).catch(() => undefined);
    }
    await writeFile(
      at('forged.jsonl'),
      (await readFile(at('audit.jsonl'), 'utf8')).replace('stolen', 'mislaid'),
    );
    const forged = await run(
      'store',
      'restore',
      at('backup.db'),
      '--audit-export',
      at('forged.jsonl'),
      '--json',
    );
    expect(JSON.parse(forged.stderr)).toMatchObject({ error: 'AUDIT_FINDINGS' });
    expect(await readdir(service.dataDir)).not.toContain('palyra.db');

    const restored = await palyra(
      ['store', 'restore', at('backup.db'), '--audit-export', at('audit.jsonl'), '--json'],
      { environment: environment() },
    );
    expect({ code: restored.code, stderr: restored.stderr }).toEqual({ code: 0, stderr: '' });
    expect(objectsOf(restored.stdout)).toMatchObject([
      {
        droppedRequests: 1,
        findings: [],
        withdrawals: [
          {
            action: 'device.revoked',
            subject: `device/${revoked.paired.deviceId}`,
            reason: 'stolen',
            redo: 'revoke',
          },
        ],
        approvedDevices: [`device/${later.paired.deviceId}`],
      },
    ]);
  });

  it('lets nobody in, pairs, approves and renews nothing, and says why', async () => {
    await service.run();
    const operator = await service.operator();
    expect(await ready()).toMatchObject({
      ready: false,
      checks: { holds: 'failed', store: 'ok' },
      reasons: { holds: QUARANTINE },
    });
    // What is held is no failure of ours: the revocation lists that may not be signed yet, for one.
    expect(service.logEntries).not.toContainEqual(expect.objectContaining({ level: 'error' }));
    for (const device of [kept, revoked]) {
      expect(await device.attempt()).toMatchObject({ answers: [], reason: 'NOT_ADMITTED' });
    }
    expect(service.logEntries).toContainEqual(
      expect.objectContaining({ event: 'quic_refused', reason: 'held', detail: QUARANTINE }),
    );
    expect(reasonOf(await failureOf(renew(kept)))).toBe(QUARANTINE);
    expect(reasonOf(await failureOf(mintPin(operator)))).toBe(QUARANTINE);
    expect(reasonOf(await failureOf(operator.approveNodePairingRequest({ requestId: 'x' })))).toBe(
      QUARANTINE,
    );
    const stranger = await TestDevice.create();
    expect(
      reasonOf(await failureOf(stranger.pair(service.grpc, 'K7QM-482913', () => Promise.resolve()))),
    ).toBe(QUARANTINE);
    await stranger.remove();
    expect((await operator.listPairingCodes()).codes).toEqual([]);
    const { requests } = await operator.listNodePairingRequests();
    expect(requests.filter(({ state }) => state === PairingState.PAIRING_STATE_PENDING_APPROVAL)).toEqual([]);
  });

  it('is shown to operators, who need not be warned: its epoch is a new one', async () => {
    const status = await run('status', '--json');
    expect(status).toMatchObject({ code: 0, stderr: '' });
    expect(status.objects()).toMatchObject([{ holds: [{ reason: QUARANTINE }], restore: {} }]);
    const text = (await run('status')).stdout;
    expect(text).toContain('not confirmed');
    expect(text).toContain(QUARANTINE);
  });

  it('takes the revocations of the audit export', async () => {
    for (const _time of ['first', 'again']) {
      const redone = await run('store', 'redo', '--audit-export', at('audit.jsonl'), '--json');
      expect(redone).toMatchObject({ code: 0, stderr: '' });
      expect(redone.objects()).toMatchObject([{ withdrawals: [{ outcome: 'revoked' }] }]);
    }
    const { device } = await (await service.operator()).getDevice({ deviceId: revoked.paired.deviceId });
    expect(device?.revokeReason).toContain('stolen');
  });

  it('is itself again once an admin has confirmed it', async () => {
    for (const _time of ['first', 'again']) {
      expect(await run('store', 'confirm', '--reason', 'all redone')).toMatchObject({ code: 0, stderr: '' });
    }
    expect(await ready()).toMatchObject({ ready: true });
    expect((await kept.attempt()).answers).toMatchObject([{ ok: true }]);
    for (const device of [revoked, later]) expect((await device.attempt()).reason).toBe('NOT_ADMITTED');
    // Its certificate is from after the backup: the store has forgotten it, and takes the identity key's word, once.
    expect((await renewed.attempt()).reason).toBe('NOT_ADMITTED');
    await renew(renewed);
    expect((await renewed.attempt()).answers).toMatchObject([{ ok: true }]);
    const confirmed = await run('audit', 'list', '--action', 'store.restore', '--json');
    expect(confirmed.objects()).toMatchObject([
      { entry: { action: 'store.restored' } },
      { entry: { action: 'store.restore_confirmed', reason: 'all redone' } },
    ]);
    await service.restart();
    expect(await ready()).toMatchObject({ ready: true });
    const operator = await service.operator();
    const fresh = await TestDevice.create();
    await fresh.pair(service.grpc, await mintPin(operator), approving(operator));
    await fresh.remove();
  });

  it('has an audit log that goes on from the backup and verifies', async () => {
    expect((await run('audit', 'export', '--out', at('after.jsonl'))).code).toBe(0);
    const { auditPublicKey } = await (await service.operator()).getStatus();
    expect(
      await run('audit', 'verify', at('after.jsonl'), '--key', auditPublicKey.toString('hex')),
    ).toMatchObject({
      code: 0,
      stderr: '',
    });
  });

  it('can be restored where nobody has a token any more', async () => {
    await writeFile(at('old-token'), await service.adminToken(), { mode: 0o600 });
    await service.stop();
    for (const name of ['palyra.db', 'palyra.db-wal', 'palyra.db-shm', 'admin-token']) {
      await rm(join(service.dataDir, name), { force: true });
    }
    const restored = await run('store', 'restore', at('backup.db'), '--new-admin-token', '--json');
    expect(restored).toMatchObject({ code: 0, stderr: '' });
    expect(restored.objects()).toMatchObject([{ endedOperators: 1 }]);
    await service.run();
    expect((await stat(join(service.dataDir, 'admin-token'))).mode & 0o777).toBe(0o600);
    const old = await run('status', '--token-file', at('old-token'), '--json');
    expect(JSON.parse(old.stderr)).toMatchObject({ error: 'CREDENTIALS_INVALID' });
    expect(await run('store', 'confirm')).toMatchObject({ code: 0, stderr: '' });
    expect(await ready()).toMatchObject({ ready: true });
  });
});
