import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { requireEndpoint } from '../src/client/grpc/endpoint.js';
import { OperatorClient } from '../src/client/operator-client.js';
import { operatorCredential } from '../src/client/operator-credential.js';
import { QuicClient } from '../src/quic/quic-client.js';
import { distributionOf, type Distribution } from './distribution.js';
import { BENCH_TRUST_DOMAIN, makeStoreWithDevices, type EnrolledDevice } from './enrolled-devices.js';
import type { Result } from './report.js';
import { BenchService } from './service.js';

/** From the call of an operator until the device has seen its connection closed (code 3, revoked). */

/** Open at once; the service's own limit of 256 stays as it is. */
const OPEN = 250;
/** So many revocations with nothing else open, and as many before them that do not count. */
const ALONE = 200;
const WARM_UP = 50;
const REVOKED = 3;
/** Milliseconds, the 99th percentile on a quiet machine (issue "strict, unstarvable, fast"). */
const AIM_ALONE = 10;
const AIM_AMONG_MANY = 50;

export async function benchRevoke(): Promise<Result[]> {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-bench-'));
  try {
    return [await measured(join(directory, 'data'))];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measured(dataDir: string): Promise<Result> {
  mkdirSync(dataDir, { mode: 0o700 });
  const { roots, devices } = await makeStoreWithDevices(dataDir, WARM_UP + ALONE + 2 * OPEN);
  const service = await BenchService.start(dataDir, { PALYRA_TRUST_DOMAIN: BENCH_TRUST_DOMAIN });
  try {
    const token = readFileSync(join(dataDir, 'admin-token'), 'utf8').trim();
    const operator = await OperatorClient.connect(requireEndpoint(service.grpc), operatorCredential(token));
    try {
      const distributions = await cases(new Revocations(operator, service.quic, roots), devices);
      return { name: 'from RevokeDevice to the closed connection', timings: [], ratios: [], distributions };
    } finally {
      operator.close();
    }
  } finally {
    await service.stop();
  }
}

async function cases(revocations: Revocations, devices: EnrolledDevice[]): Promise<Distribution[]> {
  const take = (count: number): EnrolledDevice[] => devices.splice(0, count);
  await revocations.alone(take(WARM_UP));
  return [
    distributionOf('one connection open', await revocations.alone(take(ALONE)), AIM_ALONE),
    distributionOf(
      `${OPEN} open, one revoked after the other`,
      await revocations.among(take(OPEN)),
      AIM_AMONG_MANY,
    ),
    distributionOf(`${OPEN} open, all revoked at once`, await revocations.atOnce(take(OPEN))),
  ];
}

class Revocations {
  constructor(
    private readonly operator: OperatorClient,
    private readonly quic: string,
    private readonly roots: string,
  ) {}

  /** Each device is connected, then revoked, before the next one comes. Milliseconds. */
  async alone(devices: readonly EnrolledDevice[]): Promise<number[]> {
    const times: number[] = [];
    for (const device of devices) times.push(await this.#revoke(device, await this.#connect(device)));
    return times;
  }

  /** All are connected, then revoked one by one. */
  async among(devices: readonly EnrolledDevice[]): Promise<number[]> {
    const open = await this.#connectAll(devices);
    const times: number[] = [];
    for (const { device, client } of open) times.push(await this.#revoke(device, client));
    return times;
  }

  /** All are connected, then revoked by calls that do not wait for each other. */
  async atOnce(devices: readonly EnrolledDevice[]): Promise<number[]> {
    const open = await this.#connectAll(devices);
    return Promise.all(open.map(({ device, client }) => this.#revoke(device, client)));
  }

  async #connectAll(
    devices: readonly EnrolledDevice[],
  ): Promise<{ device: EnrolledDevice; client: QuicClient }[]> {
    const open = [];
    for (const device of devices) open.push({ device, client: await this.#connect(device) });
    return open;
  }

  /** Resolves once the service has let the device in. */
  async #connect({ identity }: EnrolledDevice): Promise<QuicClient> {
    const { host, port } = requireEndpoint(this.quic);
    const client = await QuicClient.connect({
      host,
      port,
      roots: this.roots,
      trustDomain: BENCH_TRUST_DOMAIN,
      identity,
      keepAliveMs: 10_000,
    });
    await client.health();
    return client;
  }

  async #revoke({ deviceId }: EnrolledDevice, client: QuicClient): Promise<number> {
    const start = performance.now();
    const closed = client.closed.then(({ code }) => ({ code, at: performance.now() }));
    await this.operator.revokeDevice({ deviceId, reason: 'bench' });
    const { code, at } = await closed;
    if (code !== REVOKED) throw new Error(`the connection was closed with ${String(code)}`);
    return at - start;
  }
}
