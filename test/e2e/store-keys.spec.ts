import Database from 'better-sqlite3';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { requireEndpoint } from '../../src/client/grpc/endpoint.js';
import { OperatorClient } from '../../src/client/operator-client.js';
import { operatorCredential } from '../../src/client/operator-credential.js';
import { formatOperatorToken, parseOperatorToken } from '../../src/operators/token.js';
import { TestDevice, approving, failureOf, mintPin, pairedDevice, reasonOf } from './paired-device.js';
import { type Finished, objectsOf, palyra } from './palyra-command.js';
import { ServiceProcess } from './service-process.js';

// Starts processes, which takes long on a busy machine.
jest.setTimeout(90_000);

/** The keys of a running service in the hands of an operator, and its tables in those of somebody who can write them. */
describe('the store of a running service', () => {
  let service: ServiceProcess;
  let operator: OperatorClient;
  const devices: TestDevice[] = [];

  beforeAll(async () => {
    service = await ServiceProcess.start({ PALYRA_PAIRING_STARTS_PER_MINUTE_PER_ADDRESS: '1000' });
    operator = await service.operator();
    devices.push(await pairedDevice(service, operator));
  });

  afterAll(async () => {
    for (const device of devices) await device.remove();
    await service.remove();
  });

  const store = (...commandLine: string[]): Promise<Finished> =>
    palyra(['store', ...commandLine], {
      environment: { PALYRA_ENDPOINT: service.grpc.text, PALYRA_DATA_DIR: service.dataDir },
    });

  async function expectAdmitted(device: TestDevice): Promise<void> {
    const { answers, reason } = await device.attempt();
    expect({ answers: answers.length, reason }).toEqual({ answers: 1, reason: undefined });
  }

  /** Waits until the service has logged this event so many times, in all its runs. */
  async function logged(event: string, times: number): Promise<void> {
    while (service.logEntries.filter((entry) => entry['event'] === event).length < times) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** How many data keys the store has; each is 97 bytes, wrapped. */
  function dataKeys(): number {
    const database = new Database(join(service.dataDir, 'palyra.db'), { readonly: true });
    try {
      const row = database.prepare<[], { bytes: number }>(
        'SELECT length("wrapped_keys") AS "bytes" FROM "store"',
      );
      return row.get()!.bytes / 97;
    } finally {
      database.close();
    }
  }

  const keyFile = (): Promise<string> => readFile(join(service.dataDir, 'store.key'), 'latin1');

  it('gets a new master key by one command, and no key passes through that', async () => {
    const before = await keyFile();
    const { code, stdout, stderr } = await store('rekey', '--reason', 'yearly', '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(objectsOf(stdout)).toEqual([
      { file: join(service.dataDir, 'store.key'), kind: 'STORE_KEY_KIND_KEY' },
    ]);
    const after = await keyFile();
    expect(after).not.toBe(before);
    for (const key of [before, after]) expect(stdout + service.log).not.toContain(key.trim());
    expect(await service.restart('SIGKILL')).toBeNull();
    operator = await service.operator();
    await expectAdmitted(devices[0]!);
  });

  it('gets a new data key while devices pair and connect, and goes on after SIGKILL', async () => {
    const [rekeyed, paired] = await Promise.all([
      store('rekey', '--data', '--json'),
      pairedDevice(service, operator),
      expectAdmitted(devices[0]!),
    ]);
    devices.push(paired);
    expect({ code: rekeyed.code, stderr: rekeyed.stderr }).toEqual({ code: 0, stderr: '' });
    const told = objectsOf(rekeyed.stdout);
    expect(told.at(-1)).toMatchObject({ rekey: { finished: true } });
    for (const { progress } of told.slice(0, -1)) {
      expect(progress).toMatchObject({ recordsTotal: expect.stringMatching(/^[1-9]/) });
    }
    // Cut off as soon as it has begun: the next start ends it by itself.
    const cutOff = store('rekey', '--data', '--json');
    await logged('store_data_rekey', 2);
    expect(await service.restart('SIGKILL')).toBeNull();
    await cutOff;
    operator = await service.operator();
    for (const device of devices) await expectAdmitted(device);
    while (dataKeys() > 1) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('does not take what does not go together, and says what a passphrase needs', async () => {
    const both = await store('rekey', '--data', '--prepared', '--json');
    expect({ code: both.code, error: objectsOf(both.stderr)[0]?.['error'] }).toEqual({
      code: 2,
      error: 'TWO_KEYS',
    });
    const missing = await store('rekey', '--prepared', '--json');
    expect({ code: missing.code, error: objectsOf(missing.stderr)[0]?.['error'] }).toEqual({
      code: 1,
      error: 'STORE_NEW_KEY_MISSING',
    });
  });

  describe('when somebody writes its tables', () => {
    const sql = (text: string, ...values: unknown[]): void => {
      const database = new Database(join(service.dataDir, 'palyra.db'));
      try {
        expect(database.prepare(text).run(...values).changes).toBeGreaterThan(0);
      } finally {
        database.close();
      }
    };

    it('lets a revoked device in on no row of devices, certificates or requests', async () => {
      const device = await pairedDevice(service, operator);
      devices.push(device);
      const { deviceId } = device.paired;
      await operator.revokeDevice({ deviceId, reason: 'lost' });
      sql(
        `UPDATE "device" SET "state" = 'active', "revoked_at" = NULL, "revoked_by" = NULL, "revoke_reason" = NULL WHERE "device_id" = ?`,
        deviceId,
      );
      sql('UPDATE "certificate" SET "revoked_at" = NULL WHERE "fingerprint" = ?', device.paired.fingerprint);
      const { answers, close } = await device.attempt();
      expect({ answers, code: close.code }).toEqual({ answers: [], code: 1 });
      const code = await mintPin(operator);
      const refused = await failureOf(device.pair(service.grpc, code, approving(operator)));
      expect(reasonOf(refused)).toBe('DEVICE_REVOKED');
    });

    it('hands out no certificate on a row that says approved, and shows the sealed request, not the row', async () => {
      const device = await TestDevice.create();
      devices.push(device);
      const requestId = await device.pairUntilWaiting(service.grpc, await mintPin(operator));
      const { request } = await operator.getNodePairingRequest({ requestId });
      const [other] = devices;
      sql(
        `UPDATE "pairing_request" SET "identity_fingerprint" = ? WHERE "request_id" = ?`,
        '0'.repeat(64),
        requestId,
      );
      const shown = await operator.getNodePairingRequest({ requestId });
      expect(shown.request?.identityFingerprint).toEqual(request?.identityFingerprint);
      sql(
        `UPDATE "pairing_request" SET "state" = 'approved', "decided_by" = 'operator/00000000', "certificate_fingerprint" = ?
         WHERE "request_id" = ?`,
        other!.paired.fingerprint,
        requestId,
      );
      const refused = await failureOf(device.resume(() => Promise.reject(new Error('still waiting'))));
      // The service knows nothing to collect; so the device begins anew.
      expect(reasonOf(refused)).toBe('the device asked for a code');
      expect(await device.records()).not.toContain('certificate.sealed');
    });

    it('pairs nobody with a code that is a row alone', async () => {
      const code = await mintPin(operator);
      const row = code.slice(0, 4);
      sql(
        `INSERT INTO "pairing_code" SELECT 'ZZZZ', "kind", "created_by", "created_at", "expires_at" FROM "pairing_code" WHERE "code_id" = ?`,
        row,
      );
      const device = await TestDevice.create();
      devices.push(device);
      const refused = await failureOf(device.pair(service.grpc, 'ZZZZ-482913', approving(operator)));
      expect(reasonOf(refused)).toBe('CONFIRMATION_FAILED');
      expect(await device.traces()).toEqual([]);
      await operator.withdrawPairingCode({ codeId: row });
    });

    it('knows no operator and no device by a record that was copied or made up', async () => {
      const admin = parseOperatorToken(await service.adminToken());
      const forged = { ...admin, tokenId: '00000000' };
      const copy = `INSERT INTO "secret" ("name", "record") SELECT ?, "record" FROM "secret" WHERE "name" = ?`;
      sql(copy, 'operator/00000000', `operator/${admin.tokenId}`);
      const refusedCopy = await reasonOfCall(formatOperatorToken(forged));
      const madeUp = Buffer.from(
        JSON.stringify({ v: 1, role: 'admin', secretHash: '0'.repeat(44), createdAt: 1 }),
      );
      sql(`UPDATE "secret" SET "record" = ? WHERE "name" = 'operator/00000000'`, madeUp);
      const refusedMadeUp = await reasonOfCall(formatOperatorToken(forged));
      expect([refusedCopy, refusedMadeUp]).toEqual(['RECORD_DOES_NOT_OPEN', 'RECORD_UNKNOWN_FORMAT']);

      const [honest, , revoked] = devices;
      const name = `device/${revoked!.paired.deviceId}`;
      sql(copy, name, `device/${honest!.paired.deviceId}`);
      expect((await revoked!.attempt()).answers).toEqual([]);
      await expectAdmitted(honest!);
      const { code, stdout } = await store('verify', '--json');
      expect(code).toBe(1);
      expect(objectsOf(stdout)[0]?.['findings']).toEqual([
        { record: name, reason: 'RECORD_DOES_NOT_OPEN' },
        { record: 'operator/00000000', reason: 'RECORD_UNKNOWN_FORMAT' },
      ]);
    });

    /** Why a call with this token is refused. */
    async function reasonOfCall(token: string): Promise<string | undefined> {
      const client = await OperatorClient.connect(
        requireEndpoint(service.grpc.text),
        operatorCredential(token),
      );
      try {
        return reasonOf(await failureOf(client.getStatus()));
      } finally {
        client.close();
      }
    }
  });
});
