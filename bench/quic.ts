import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireEndpoint } from '../src/client/grpc/endpoint.js';
import { QuicClient, type QuicClientOptions } from '../src/quic/quic-client.js';
import { BENCH_TRUST_DOMAIN, makeStoreWithDevices } from './enrolled-devices.js';
import { ratioTo, wallRatioTo } from './harness.js';
import type { Result } from './report.js';
import { BenchService, WIDE_QUIC_BOUNDS } from './service.js';
import { sideBySide, startNativeEcho, type Server, type Work } from './side-by-side.js';

/** Handshakes and `node.health` of the service, beside a bare echo on the same native binding. */

const HANDSHAKES_AT_ONCE = 8;

const SERVICE_SETTINGS = {
  ...WIDE_QUIC_BOUNDS,
  PALYRA_TRUST_DOMAIN: BENCH_TRUST_DOMAIN,
};

export async function benchQuic(): Promise<Result[]> {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-bench-'));
  try {
    return await measured(join(directory, 'data'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measured(dataDir: string): Promise<Result[]> {
  mkdirSync(dataDir, { mode: 0o700 });
  const { roots, devices, server } = await makeStoreWithDevices(dataDir, 1);
  const [device] = devices;
  if (device === undefined) throw new Error('the store has no device');
  const { identity } = device;
  const client = { roots, trustDomain: BENCH_TRUST_DOMAIN, identity };
  const echo = await startNativeEcho(server);
  try {
    const service = await startService(dataDir);
    try {
      return await compared([echo, service], client);
    } finally {
      await service.stop();
    }
  } finally {
    await echo.stop();
  }
}

async function startService(dataDir: string): Promise<Server> {
  const service = await BenchService.start(dataDir, SERVICE_SETTINGS);
  const { quic } = service;
  return {
    name: 'the service',
    quic,
    pid: service.pid,
    cpuUs: () => service.cpuUs(),
    stop: () => service.stop(),
  };
}

type ClientOptions = Pick<QuicClientOptions, 'roots' | 'trustDomain' | 'identity'>;

async function compared(servers: readonly Server[], options: ClientOptions): Promise<Result[]> {
  const connect = (server: Server): Promise<QuicClient> =>
    QuicClient.connect({ ...requireEndpoint(server.quic), ...options, keepAliveMs: 10_000 });
  const handshakes = (server: Server): Promise<Work> =>
    Promise.resolve(
      atOnce(HANDSHAKES_AT_ONCE, async () => {
        const client = await connect(server);
        requireHealth(await client.health());
        await client.close();
      }),
    );
  const health =
    (inFlight: number) =>
    async (server: Server): Promise<Work> => {
      const client = await connect(server);
      return atOnce(inFlight, async () => {
        requireHealth(await client.health());
      });
    };
  return [
    await measure(`handshake, node.health, close; ${HANDSHAKES_AT_ONCE} at once`, servers, handshakes),
    await measure('node.health, 1 in flight on one connection', servers, health(1)),
    await measure('node.health, 64 in flight on one connection', servers, health(64)),
  ];
}

function requireHealth({ ok, kind }: { ok: boolean; kind: string }): void {
  if (!ok || kind !== 'health') throw new Error(`node.health was answered with ${kind}`);
}

function atOnce(callers: number, once: () => Promise<void>): Work {
  return async (calls) => {
    let left = calls;
    const caller = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await once();
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
  };
}

async function measure(
  name: string,
  servers: readonly Server[],
  workOn: (server: Server) => Promise<Work>,
): Promise<Result> {
  const timings = await sideBySide(servers, workOn);
  const [limit, timing] = timings;
  if (!limit || !timing) throw new Error('nothing was measured');
  const ratios = [
    { name: 'by CPU time of the server', value: ratioTo(limit, timing) },
    { name: 'by the clock (the client takes its part)', value: wallRatioTo(limit, timing) },
  ];
  return { name: `${name}; CPU is the server's`, timings, ratios };
}
