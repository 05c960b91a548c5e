import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseSettings } from '../../src/config/settings.js';
import type { Settings } from '../../src/config/settings.js';
import {
  ControlPlaneClient,
  type GetStatusResponse,
} from '../../src/generated/palyra/controlplane/v1/control_plane.js';
import { type RunningService, startService } from '../../src/main.js';
import { createLogger } from '../../src/observability/logger.js';

const METRICS_TOKEN = 'a-metrics-token-of-the-test';

interface LogLine {
  readonly event?: string;
  readonly grpc?: string;
  readonly quic?: string;
  readonly http?: string;
}

describe('the service', () => {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-service-'));
  const dataDir = join(directory, 'data');
  const lines: string[] = [];
  let service: RunningService;

  beforeAll(async () => {
    writeFileSync(join(directory, 'metrics-token'), `${METRICS_TOKEN}\n`);
    service = await start();
  });
  afterAll(async () => {
    await service.close();
    rmSync(directory, { recursive: true });
  });

  function settings(environment: Record<string, string> = {}): Settings {
    return parseSettings({
      environment: {
        PALYRA_DATA_DIR: dataDir,
        PALYRA_GRPC_LISTEN: '127.0.0.1:0',
        PALYRA_QUIC_LISTEN: '127.0.0.1:0',
        PALYRA_HTTP_LISTEN: '127.0.0.1:0',
        PALYRA_METRICS_TOKEN_FILE: join(directory, 'metrics-token'),
        PALYRA_SHUTDOWN_GRACE: '200ms',
        ...environment,
      },
    }).settings;
  }

  function start(environment: Record<string, string> = {}): Promise<RunningService> {
    const sink = { write: (line: string) => lines.push(line) };
    const logger = createLogger({ level: 'debug', format: 'json', sink });
    return startService(settings(environment), { logger });
  }

  function status(token: string): Promise<GetStatusResponse> {
    const roots = readFileSync(join(dataDir, 'ca.pem'));
    const client = new ControlPlaneClient(service.grpcAddress, credentials.createSsl(roots));
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    return new Promise<GetStatusResponse>((resolve, reject) => {
      client.getStatus({}, metadata, { deadline: Date.now() + 5_000 }, (error, answer) => {
        client.close();
        if (error === null) {
          resolve(answer);
        } else {
          reject(error);
        }
      });
    });
  }

  const get = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`http://${service.httpAddress}${path}`, init);

  const adminToken = (): string => readFileSync(join(dataDir, 'admin-token'), 'utf8').trim();

  it('logs one ready event with the addresses that were bound', () => {
    const ready = lines.map((line) => JSON.parse(line) as LogLine).filter((line) => line.event === 'ready');
    expect(ready).toEqual([
      expect.objectContaining({
        grpc: service.grpcAddress,
        quic: service.quicAddress,
        http: service.httpAddress,
      }),
    ]);
    expect(service.grpcAddress).not.toMatch(/:0$/);
  });

  it('tells the first admin over TLS that ca.pem verifies how it does', async () => {
    const answer = await status(adminToken());
    expect(answer).toMatchObject({
      callerRole: 'admin',
      quicConnections: 0,
      grpcEndpoints: [service.grpcAddress],
      quicEndpoints: [service.quicAddress],
    });
    expect(answer.trustDomain).toMatch(/^[0-9a-z]{10}\.palyra\.internal$/);
    expect(answer.storeId.length).toBe(16);
    expect(answer.auditPublicKey.length).toBe(32);
    expect(answer.sequence).toBeGreaterThan(0n);
  });

  it('answers probes', async () => {
    const health = await get('/healthz');
    expect([health.status, await health.json()]).toEqual([200, { status: 'ok' }]);
    const ready = await get('/readyz');
    expect([ready.status, await ready.json()]).toEqual([
      200,
      { ready: true, checks: { store: 'ok', holds: 'ok', certificates: 'ok', quic: 'ok', serving: 'ok' } },
    ]);
    expect(ready.headers.get('x-content-type-options')).toBe('nosniff');
    expect(ready.headers.get('cache-control')).toBe('no-store');
  });

  it('shows metrics to whoever has the token', async () => {
    expect((await get('/metrics')).status).toBe(401);
    const wrong = await get('/metrics', { headers: { authorization: `Bearer ${METRICS_TOKEN}x` } });
    expect(wrong.status).toBe(401);
    const right = await get('/metrics', { headers: { authorization: `Bearer ${METRICS_TOKEN}` } });
    expect(right.status).toBe(200);
    const text = await right.text();
    expect(text).toMatch(
      /^palyra_grpc_calls_total\{method="palyra\.controlplane\.v1\.ControlPlane\/GetStatus",code="OK"\} 1$/m,
    );
    expect(text).toMatch(/^palyra_audit_sequence [1-9]/m);
    expect(text).toMatch(/^palyra_ready\{check="store"\} 1$/m);
    expect(text).toMatch(/^palyra_quic_connections 0$/m);
    const expiry = Number(
      /^palyra_certificate_expiry_timestamp_seconds\{certificate="grpc"\} (\S+)$/m.exec(text)?.[1],
    );
    expect(expiry * 1_000).toBeGreaterThan(Date.now());
    expect(text).toContain('process_cpu_seconds_total');
  });

  it.each([
    ['GET', '/', 404],
    ['GET', '/metrics/x', 404],
    ['GET', '/healthz/../readyz2', 404],
    ['POST', '/healthz', 404],
    ['HEAD', '/healthz', 200],
    ['HEAD', '/nothing', 404],
    ['DELETE', '/readyz', 404],
    ['OPTIONS', '/metrics', 404],
  ])('%s %s answers %i', async (method, path, code) => {
    expect((await get(path, { method })).status).toBe(code);
  });

  it('takes no body', async () => {
    const body = JSON.stringify({ a: 'x'.repeat(10_000) });
    const answer = await get('/healthz', {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
  });

  it('keeps its files to itself', () => {
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    for (const file of ['palyra.db', 'store.key', 'admin-token', 'ca.pem']) {
      expect([file, statSync(join(dataDir, file)).mode & 0o077]).toEqual([file, 0]);
    }
  });

  it('writes no secret into its log', () => {
    const token = adminToken();
    const secret = token.split('_')[2]!;
    expect(lines.filter((line) => line.includes(secret))).toEqual([]);
    const key = readFileSync(join(dataDir, 'store.key'), 'utf8').trim();
    expect(lines.filter((line) => line.includes(key))).toEqual([]);
  });

  it('refuses to start when a port is taken, says which, and leaves nothing open', async () => {
    const taken = await listening();
    const { port } = taken.address() as { port: number };
    await service.close();
    try {
      for (const door of ['gRPC', 'HTTP']) {
        const attempt = start({ [`PALYRA_${door.toUpperCase()}_LISTEN`]: `127.0.0.1:${port}` });
        await expect(attempt).rejects.toThrow(`${door} cannot listen on 127.0.0.1:${port} (EADDRINUSE)`);
      }
    } finally {
      taken.close();
    }
    // The store's lock is free again, and what was made at the first start is still there.
    service = await start();
    expect((await status(adminToken())).callerRole).toBe('admin');
  });

  it('makes no other cluster where its database is gone', async () => {
    await service.close();
    const moved = join(directory, 'moved');
    renameSync(join(dataDir, 'palyra.db'), moved);
    await expect(start()).rejects.toMatchObject({ reason: 'STORE_MISSING' });
    renameSync(moved, join(dataDir, 'palyra.db'));
    service = await start();
  });

  it('refuses another trust domain than that of the first start', async () => {
    await service.close();
    await expect(start({ PALYRA_TRUST_DOMAIN: 'other.example' })).rejects.toMatchObject({
      reason: 'TRUST_DOMAIN',
    });
    service = await start();
  });
});

function listening(): Promise<Server> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve(server);
    });
  });
}
