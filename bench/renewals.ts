import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BENCH_TRUST_DOMAIN, makeStoreWithDevices, type EnrolledDevice } from './enrolled-devices.js';
import { timingOf, wallRatioTo, type RoundTime, type Timing } from './harness.js';
import { findGo, LoadGenerator, type LoadDevice, type LoadMethod } from './load-generator.js';
import type { Result } from './report.js';
import { BenchService } from './service.js';

/** Stored renewals over gRPC by many callers, beside what the same server echoes to the same callers. */

const CALLERS = 32;
/** So many each caller has; it takes them in turn, since a device renews in a chain. */
const DEVICES_PER_CALLER = 8;
const ROUNDS = 11;
const TURN_MS = 1_000;
/** Before anything counts, so that the service's code is compiled. */
const WARM_UP_MS = 4_000;
const GOAL = 0.2;

const CASES: readonly { readonly method: LoadMethod; readonly name: string }[] = [
  { method: 'check', name: 'limit: echo, gRPC health Check' },
  { method: 'bundle', name: 'NodeService.GetTrustBundle' },
  { method: 'renew', name: 'NodeService.Renew, stored' },
];

export async function benchRenewals(): Promise<Result[]> {
  const go = findGo();
  if (go === undefined) {
    console.log('\nstored renewals: SKIPPED, since its load generator needs Go and there is none here');
    return [];
  }
  const directory = mkdtempSync(join(tmpdir(), 'palyra-bench-'));
  try {
    return [await measured(go, directory)];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measured(go: string, directory: string): Promise<Result> {
  const dataDir = join(directory, 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  const { roots, devices } = await makeStoreWithDevices(dataDir, CALLERS * DEVICES_PER_CALLER);
  const trustDomain = BENCH_TRUST_DOMAIN;
  const service = await BenchService.start(
    dataDir,
    { PALYRA_TRUST_DOMAIN: trustDomain, PALYRA_RENEWALS_PER_HOUR_PER_DEVICE: '1000000' },
    profiling(),
  );
  try {
    const setup = {
      address: service.grpc,
      roots,
      serverName: `control-plane.${trustDomain}`,
      trustDomain,
      callers: CALLERS,
      devices: devices.map(loadDevice),
    };
    const load = LoadGenerator.start(go, directory, setup);
    const timings = await alternately(service, load);
    await load.stop();
    return resultOf(timings);
  } finally {
    await service.stop();
  }
}

/** `PALYRA_BENCH_PROFILE`: a directory for a CPU profile of the service. */
function profiling(): string[] {
  const directory = process.env['PALYRA_BENCH_PROFILE'];
  return directory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${directory}`];
}

/** What the load generator has to know of a device. */
function loadDevice({ deviceId, identityKey, certificate }: EnrolledDevice): LoadDevice {
  const { d = '' } = identityKey.export({ format: 'jwk' });
  const seed = Buffer.from(d, 'base64url').toString('base64');
  return { id: deviceId, seed, parent: createHash('sha256').update(certificate).digest('base64') };
}

/** All cases in each round, so that the ratio of a round compares neighbours. */
async function alternately(service: BenchService, load: LoadGenerator): Promise<Timing[]> {
  const calls: number[] = [];
  for (const { method } of CASES) calls.push(await warmUp(load, method));
  const rounds = CASES.map((): RoundTime[] => []);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, { method }] of CASES.entries()) {
      const before = service.cpuUs();
      const answer = await load.run(method, calls[index] ?? CALLERS);
      const cpuUs = (service.cpuUs() - before) / answer.calls;
      rounds[index]?.push({ wallUs: answer.micros / answer.calls, cpuUs });
    }
  }
  return CASES.map(({ name }, index) => timingOf(name, rounds[index] ?? []));
}

/** Runs a case until it is warm, and says how many calls make a turn. */
async function warmUp(load: LoadGenerator, method: LoadMethod): Promise<number> {
  let calls = CALLERS * 4;
  for (let spent = 0; ;) {
    const answer = await load.run(method, calls);
    spent += answer.micros / 1000;
    calls = Math.max(CALLERS, Math.round((TURN_MS * 1000 * answer.calls) / answer.micros));
    if (spent >= WARM_UP_MS) return calls;
  }
}

function resultOf(timings: readonly Timing[]): Result {
  const [echo, bundle, renewal] = timings;
  if (!echo || !bundle || !renewal) throw new Error('nothing was measured');
  const ratios = [
    {
      name: `renewals a second beside the echo's, ${CALLERS} callers`,
      value: wallRatioTo(echo, renewal),
      goal: GOAL,
    },
    { name: 'the same beside GetTrustBundle', value: wallRatioTo(bundle, renewal) },
  ];
  return {
    name: `stored renewals over gRPC, ${CALLERS} callers in Go; CPU is the service's`,
    timings,
    ratios,
  };
}
