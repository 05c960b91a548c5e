import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { renewDevice } from '../../src/client/device/renewal.js';
import { requireEndpoint } from '../../src/client/grpc/endpoint.js';
import { OperatorClient } from '../../src/client/operator-client.js';
import { operatorCredential } from '../../src/client/operator-credential.js';
import { parseSettings } from '../../src/config/settings.js';
import { type RunningService, startService } from '../../src/main.js';
import { createLogger } from '../../src/observability/logger.js';
import type { NodeResponse } from '../../src/quic/node-rpc-message.js';
import type { QuicClient } from '../../src/quic/quic-client.js';
import { systemRandomBytes } from '../../src/random/random-bytes.js';
import { systemClock } from '../../src/time/clock.js';
import { TestDevice, approving, failureOf, mintPin, reasonOf } from '../e2e/paired-device.js';

interface Told {
  readonly seq: number;
  readonly type: string;
}

/** `node.stream_events` on a service that was really started, in this process. */
describe('events of a device', () => {
  const dataDir = join(mkdtempSync(join(tmpdir(), 'palyra-events-')), 'data');
  const devices: TestDevice[] = [];
  let service: RunningService;
  let operator: OperatorClient;

  beforeAll(async () => {
    await start({});
  });

  afterAll(async () => {
    await stop();
    for (const device of devices) await device.remove();
    rmSync(join(dataDir, '..'), { recursive: true });
  });

  async function start(addresses: Record<string, string>): Promise<void> {
    const environment = {
      PALYRA_DATA_DIR: dataDir,
      PALYRA_GRPC_LISTEN: '127.0.0.1:0',
      PALYRA_QUIC_LISTEN: '127.0.0.1:0',
      PALYRA_HTTP_LISTEN: '127.0.0.1:0',
      PALYRA_SHUTDOWN_GRACE: '200ms',
      PALYRA_QUIC_LINGER: '100ms',
      ...addresses,
    };
    const logger = createLogger({ level: 'fatal', format: 'json', sink: { write: () => undefined } });
    service = await startService(parseSettings({ environment }).settings, { logger });
    const token = readFileSync(join(dataDir, 'admin-token'), 'utf8').trim();
    operator = await OperatorClient.connect(requireEndpoint(service.grpcAddress), operatorCredential(token));
  }

  async function stop(): Promise<void> {
    operator.close();
    await service.close();
  }

  async function newDevice(): Promise<TestDevice> {
    const device = await TestDevice.create();
    devices.push(device);
    await device.pair(requireEndpoint(service.grpcAddress), await mintPin(operator), approving(operator));
    return device;
  }

  async function renew(device: TestDevice): Promise<void> {
    const { certificate } = await renewDevice({
      directory: device.directory,
      endpoint: undefined,
      signal: new AbortController().signal,
      clock: systemClock,
      random: systemRandomBytes,
    });
    device.certificate = certificate;
  }

  /** Reads `count` events from `resumeFrom` on. */
  async function read(client: QuicClient, resumeFrom: number, count: number): Promise<Told[]> {
    const events: Told[] = [];
    for await (const response of client.stream('node.stream_events', { resumeFrom })) {
      events.push(told(response));
      if (events.length === count) break;
    }
    return events;
  }

  it('are told from the first one on, and live; those of others are not', async () => {
    const device = await newDevice();
    const other = await newDevice();
    const { client } = await device.connect();
    const stream = client.stream('node.stream_events')[Symbol.asyncIterator]();
    const next = async (): Promise<NodeResponse> => (await stream.next()).value as NodeResponse;

    const issued = await next();
    expect(issued).toMatchObject({ kind: 'event', ok: true, result: { type: 'certificate_issued' } });
    expect(issued.result).toMatchObject({ certificate: device.paired.fingerprint });
    await renew(other);
    await renew(device);
    const renewed = await next();
    expect(renewed.result).toMatchObject({
      type: 'certificate_renewed',
      certificate: device.paired.fingerprint,
    });
    expect(Math.abs((renewed.result as { time_ms: number }).time_ms - Date.now())).toBeLessThan(60_000);
    const { root } = await operator.prepareRoot({ reason: 'events' });
    expect(await next()).toMatchObject({ result: { type: 'bundle_changed', step: 'prepared' } });
    await operator.retireRoot({ keyId: root?.keyId ?? '', reason: 'events' });
    expect(await next()).toMatchObject({ result: { type: 'bundle_changed', step: 'retired' } });
    await client.close();
  });

  it('are told behind any place, again after a restart, and not from a place that the store never reached', async () => {
    const device = devices[0]!;
    const { client } = await device.connect();
    const all = await read(client, 0, 4);
    const types = ['certificate_issued', 'certificate_renewed', 'bundle_changed', 'bundle_changed'];
    expect(all.map(({ type }) => type)).toEqual(types);
    for (const [index, { seq }] of all.entries()) {
      expect(await read(client, seq - 1, all.length - index)).toEqual(all.slice(index));
    }
    await client.close();

    const [grpc, quic] = [service.grpcAddress, service.quicAddress];
    await stop();
    await start({ PALYRA_GRPC_LISTEN: grpc, PALYRA_QUIC_LISTEN: quic });
    const again = (await device.connect()).client;
    expect(await read(again, all[1]!.seq, 2)).toEqual(all.slice(2));
    const [ahead] = await answers(again, Number.MAX_SAFE_INTEGER);
    expect(ahead).toMatchObject({ error: 'refused', result: { reason: 'RESUME_FROM_AHEAD' } });
    await again.close();
  });

  it('leave every one of many streams its calls, and end when nobody wants them', async () => {
    const { client } = await devices[0]!.connect();
    const streams = Array.from({ length: 31 }, () =>
      client.stream('node.stream_events')[Symbol.asyncIterator](),
    );
    for (const stream of streams) expect((await stream.next()).done).toBe(false);
    expect((await client.health()).ok).toBe(true);
    for (const stream of streams) await stream.return?.();
    // All 32 places are free again.
    const healthy = await Promise.all(Array.from({ length: 40 }, () => client.health()));
    expect(healthy.every(({ ok }) => ok)).toBe(true);
    await client.close();
  });

  it('announce the revocation of the device, and the connection ends', async () => {
    const device = devices[1]!;
    const { client } = await device.connect();
    const stream = client.stream('node.stream_events')[Symbol.asyncIterator]();
    const types: string[] = [];
    const reading = failureOf(
      (async () => {
        for (let next = await stream.next(); next.done !== true; next = await stream.next()) {
          types.push(told(next.value).type);
          if (types.length === 2)
            await operator.revokeDevice({ deviceId: device.paired.deviceId, reason: 'lost' });
        }
      })(),
    );
    expect(reasonOf(await reading)).toBe('REVOKED');
    expect((await client.closed).code).toBe(3);
    expect(types.slice(0, 2)).toEqual(['certificate_issued', 'certificate_renewed']);
    expect(types.at(-1)).toBe('revocation_announced');
  });

  async function answers(client: QuicClient, resumeFrom: number): Promise<NodeResponse[]> {
    const all: NodeResponse[] = [];
    for await (const response of client.stream('node.stream_events', { resumeFrom })) all.push(response);
    return all;
  }
});

function told({ seq, result }: NodeResponse): Told {
  return { seq: seq ?? 0, type: (result as { type: string }).type };
}
