import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { controlPlaneDnsName } from '../src/ca/spiffe-id.js';
import type { QuicRuntimeTlsMaterial } from '../src/ca/trust-bundle.js';
import { BENCH_TRUST_DOMAIN, makeStoreWithDevices, type EnrolledDevice } from './enrolled-devices.js';
import { ratioTo, wallRatioTo, type Timing } from './harness.js';
import { compareIdle } from './idle-connections.js';
import { buildQuinn, QuinnLoad, type Peer } from './quinn-load.js';
import type { Result } from './report.js';
import { BenchService, WIDE_QUIC_BOUNDS } from './service.js';
import { sideBySide, startNativeEcho, startServer, type Server, type Work } from './side-by-side.js';

/** The service beside a quinn server and a bare native echo, all called by the same client in Rust (`bench/quinn`). */

const DEVICES = 10;
const HANDSHAKES_AT_ONCE = 8;

const SERVICE_SETTINGS = {
  ...WIDE_QUIC_BOUNDS,
  PALYRA_TRUST_DOMAIN: BENCH_TRUST_DOMAIN,
  PALYRA_QUIC_IDLE_TIMEOUT: '120s',
};

export async function* benchQuinn(): AsyncGenerator<Result> {
  const program = buildQuinn();
  if (program === undefined) {
    console.log('\nbeside quinn: SKIPPED, since it needs cargo and there is none here');
    return;
  }
  const directory = mkdtempSync(join(tmpdir(), 'palyra-bench-'));
  try {
    const cluster = await makeCluster(program, join(directory, 'data'));
    yield* withPeers(await rateServers(cluster), cluster, compareRates);
    yield* withPeers([await startQuinn(cluster), await startService(cluster)], cluster, compareIdle);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Cluster {
  /** The program of `bench/quinn`. */
  readonly program: string;
  readonly dataDir: string;
  /** PEM. */
  readonly roots: string;
  readonly devices: readonly EnrolledDevice[];
  /** For servers that are not the service. */
  readonly server: QuicRuntimeTlsMaterial;
}

async function makeCluster(program: string, dataDir: string): Promise<Cluster> {
  mkdirSync(dataDir, { mode: 0o700 });
  return { program, dataDir, ...(await makeStoreWithDevices(dataDir, DEVICES)) };
}

async function* withPeers(
  servers: readonly Server[],
  cluster: Cluster,
  compare: (peers: readonly Peer[]) => AsyncGenerator<Result>,
): AsyncGenerator<Result> {
  const peers = servers.map((server) => ({ server, load: startLoad(server, cluster) }));
  try {
    yield* compare(peers);
  } finally {
    for (const { server, load } of peers) {
      await load.stop();
      await server.stop();
    }
  }
}

function startLoad({ quic }: Server, { program, roots, devices }: Cluster): QuinnLoad {
  return QuinnLoad.start(program, {
    address: quic,
    serverName: controlPlaneDnsName(BENCH_TRUST_DOMAIN),
    roots,
    identities: devices.map(({ identity }) => identity),
  });
}

async function rateServers(cluster: Cluster): Promise<Server[]> {
  return [await startQuinn(cluster), await startNativeEcho(cluster.server), await startService(cluster)];
}

function startQuinn({ program, server: { chain, key, bundle } }: Cluster): Promise<Server> {
  return startServer('quinn', [program, 'serve'], { identity: { chain, key }, roots: bundle });
}

async function startService({ dataDir }: Cluster): Promise<Server> {
  const service = await BenchService.start(dataDir, SERVICE_SETTINGS);
  const { quic, pid } = service;
  return { name: 'the service', quic, pid, cpuUs: () => service.cpuUs(), stop: () => service.stop() };
}

async function* compareRates(peers: readonly Peer[]): AsyncGenerator<Result> {
  const handshakes = `handshake, node.health, close; ${HANDSHAKES_AT_ONCE} at once`;
  yield compared(handshakes, 0.5, await timed(peers, 'handshakes', HANDSHAKES_AT_ONCE));
  yield compared('node.health, 1 in flight on one connection', 0.5, await timed(peers, 'calls', 1));
  yield compared('node.health, 64 in flight on one connection', 0.25, await timed(peers, 'calls', 64));
}

function timed(peers: readonly Peer[], work: 'handshakes' | 'calls', atOnce: number): Promise<Timing[]> {
  const loads = new Map(peers.map(({ server, load }) => [server, load]));
  const workOn = (server: Server): Promise<Work> =>
    Promise.resolve(async (calls) => {
      await loads.get(server)?.run({ work, calls, atOnce });
    });
  const servers = peers.map(({ server }) => server);
  return sideBySide(servers, workOn);
}

function compared(name: string, goal: number, timings: readonly Timing[]): Result {
  const [quinn, echo, service] = timings;
  if (!quinn || !echo || !service) throw new Error('nothing was measured');
  const ratios = [
    { name: 'the service beside quinn, by the clock', value: wallRatioTo(quinn, service), goal },
    { name: 'the same by CPU time of the server', value: ratioTo(quinn, service) },
    { name: 'the native echo beside quinn, by the clock', value: wallRatioTo(quinn, echo) },
    { name: 'the same by CPU time of the server', value: ratioTo(quinn, echo) },
  ];
  return { name: `${name}; CPU is the server's`, timings, ratios };
}
