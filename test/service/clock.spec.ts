import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { renewDevice } from '../../src/client/device/renewal.js';
import { requireEndpoint } from '../../src/client/grpc/endpoint.js';
import { OperatorClient } from '../../src/client/operator-client.js';
import { operatorCredential } from '../../src/client/operator-credential.js';
import { RemoteError } from '../../src/client/remote-error.js';
import { parseSettings } from '../../src/config/settings.js';
import { DeviceState } from '../../src/generated/palyra/controlplane/v1/device.js';
import { type RunningService, startService } from '../../src/main.js';
import { createLogger } from '../../src/observability/logger.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { systemClock } from '../../src/time/clock.js';
import { TestDevice, approving, failureOf, mintPin } from '../e2e/paired-device.js';
import { SteppedClock } from './stepped-clock.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

describe('a clock that is set while devices renew', () => {
  const clock = new SteppedClock();
  const lines: string[] = [];
  let dataDir: string;
  let service: RunningService;
  let operator: OperatorClient;
  let device: TestDevice;

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'palyra-clock-'));
    // A CA that is older than this test steps back.
    clock.stepMs = -HOUR_MS / 2;
    await start();
    await stop();
    clock.stepMs = 0;
    await start();
    device = await TestDevice.create();
    await device.pair(grpc(), await mintPin(operator), approving(operator));
  });

  afterAll(async () => {
    await device.remove();
    await stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  async function start(): Promise<void> {
    const { settings } = parseSettings({
      environment: {
        PALYRA_DATA_DIR: dataDir,
        PALYRA_GRPC_LISTEN: '127.0.0.1:0',
        PALYRA_QUIC_LISTEN: '127.0.0.1:0',
        PALYRA_HTTP_LISTEN: '127.0.0.1:0',
        PALYRA_SHUTDOWN_GRACE: '200ms',
        PALYRA_RETENTION_CERTIFICATES: '1s',
        PALYRA_RETENTION_AUDIT: '1d',
        PALYRA_PRUNE_INTERVAL: '1s',
      },
    });
    const sink = { write: (line: string) => lines.push(line) };
    const logger = createLogger({ level: 'info', format: 'json', sink });
    service = await startService(settings, { clock, logger });
    const token = (await readFile(join(dataDir, 'admin-token'), 'utf8')).trim();
    operator = await OperatorClient.connect(grpc(), operatorCredential(token));
  }

  async function stop(): Promise<void> {
    operator.close();
    await service.close();
  }

  const grpc = (): ReturnType<typeof requireEndpoint> => requireEndpoint(service.grpcAddress);

  const renew = (): Promise<unknown> =>
    renewDevice({
      directory: device.directory,
      endpoint: grpc(),
      signal: new AbortController().signal,
      clock: systemClock,
      random: systemRandomBytes,
    });

  async function readiness(): Promise<[number, unknown]> {
    const answer = await fetch(`http://${service.httpAddress}/readyz`);
    const { checks, reasons } = (await answer.json()) as {
      checks: { holds: string };
      reasons?: { holds: string };
    };
    return [answer.status, [checks.holds, reasons?.holds]];
  }

  const remoteReason = async (act: Promise<unknown>): Promise<unknown> => {
    const error = await failureOf(act);
    return error instanceof RemoteError ? [error.code, error.reason] : error;
  };

  /** All rows of what could be issued, or removed. */
  function rows(): Record<string, number> {
    const database = new Database(join(dataDir, 'palyra.db'), { readonly: true });
    const count = (table: string): number =>
      (database.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number }).n;
    try {
      const tables = ['certificate', 'pairing_code', 'pairing_request', 'pairing_try', 'device'];
      return Object.fromEntries(tables.map((table) => [table, count(table)]));
    } finally {
      database.close();
    }
  }

  it('two days ahead and back: nothing is issued and nothing removed, readiness is red, and then all goes on', async () => {
    const waiting = await TestDevice.create();
    const requestId = await waiting.pairUntilWaiting(grpc(), await mintPin(operator));
    const lost = await lostDevice();
    await mintPin(operator);
    await renew();
    const before = rows();
    expect(await readiness()).toEqual([200, ['ok', undefined]]);

    clock.stepMs = 2 * DAY_MS;
    const jumped = ['UNAVAILABLE', 'CLOCK_JUMPED'];
    for (let i = 0; i < 3; i++) expect(await remoteReason(renew())).toEqual(jumped);
    const refused = ['FAILED_PRECONDITION', 'CLOCK_JUMPED'];
    expect(await remoteReason(operator.approveNodePairingRequest({ requestId }))).toEqual(refused);
    expect(await remoteReason(mintPin(operator))).toEqual(refused);
    expect(await remoteReason(operator.pruneStore({}))).toEqual(refused);
    expect(await remoteReason(operator.prepareRoot({}))).toEqual(refused);
    expect(await remoteReason(operator.replaceCompromisedRoots({ reason: 'x' }))).toEqual(refused);
    expect(await readiness()).toEqual([503, ['failed', 'CLOCK_JUMPED']]);
    expect((await operator.getClock()).clock).toMatchObject({ doubt: 'jumped' });
    expect(rows()).toEqual(before);
    // Operators decide on, and what they decide is audited by the clock as it is.
    await operator.revokeDevice({ deviceId: lost, reason: 'lost' });

    clock.stepMs = 0;
    expect(await readiness()).toEqual([200, ['ok', undefined]]);
    await renew();
    await waiting.resume(approving(operator));
    await waiting.remove();
    expect(rows()).toMatchObject({
      certificate: before['certificate']! + 2,
      pairing_code: before['pairing_code']!,
    });
    expect(lines.filter((line) => line.includes('"event":"clock_doubted"'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('"event":"clock_believed"'))).toHaveLength(1);
  });

  async function lostDevice(): Promise<string> {
    const lost = await TestDevice.create();
    const { deviceId } = await lost.pair(grpc(), await mintPin(operator), approving(operator));
    await lost.remove();
    return deviceId;
  }

  it('behind what was audited it is not believed after a restart either, until an admin confirms it', async () => {
    await renew();
    await stop();
    clock.stepMs = -10 * 60_000;
    await start();
    expect(await remoteReason(renew())).toEqual(['UNAVAILABLE', 'CLOCK_BEHIND']);
    expect(await readiness()).toEqual([503, ['failed', 'CLOCK_BEHIND']]);
    const { clock: state } = await operator.getClock();
    expect(state?.doubt).toBe('behind');
    expect(state!.highestTime!.getTime() - state!.time!.getTime()).toBeGreaterThan(5 * 60_000);

    const adminTime = new Date();
    expect(await remoteReason(operator.confirmClock({ adminTime }))).toEqual([
      'FAILED_PRECONDITION',
      'CLOCK_DIFFERS',
    ]);
    const confirmed = await operator.confirmClock({ reason: 'the past was wrong' });
    expect(confirmed.clock?.doubt).toBe('');
    expect(await readiness()).toEqual([200, ['ok', undefined]]);
    await renew();
    await operator.confirmClock({ adminTime: new Date(clock.now()) });

    await stop();
    await start();
    expect(await readiness()).toEqual([200, ['ok', undefined]]);
    const actions: string[] = [];
    for await (const { item } of operator.exportAudit()) {
      if (item?.$case === 'entry') actions.push(item.value.action);
    }
    expect(actions.filter((action) => action === 'clock.confirmed')).toHaveLength(1);
    expect((await operator.listDevices({ state: DeviceState.DEVICE_STATE_ACTIVE })).devices).toHaveLength(2);
  });
});
