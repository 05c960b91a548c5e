import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateAuthority } from '../src/ca/certificate-authority.js';
import { recordIssued } from '../src/ca/certificate-index.js';
import { fixTrustDomain } from '../src/ca/cluster-record.js';
import { makeCsr } from '../src/ca/csr-maker.js';
import { verifyCsr } from '../src/ca/csr.js';
import { DEFAULT_CERT_VALIDITY } from '../src/ca/issued-certificate.js';
import { trustBundlePem } from '../src/ca/trust-bundle.js';
import type { Unit } from '../src/database/unit-of-work.js';
import { openStore } from '../src/database/open-store.js';
import { deviceCertificate } from '../src/identity/device-identity.js';
import { newDeviceId } from '../src/identity/device-id.js';
import { rawIdentityKey } from '../src/identity/ed25519.js';
import { enrolDevice } from '../src/identity/enrolment.js';
import { systemRandomBytes } from '../src/random/random-bytes.js';
import { systemClock } from '../src/time/clock.js';
import { timingOf, wallRatioTo, type RoundTime, type Timing } from './harness.js';
import { findGo, LoadGenerator, type LoadDevice, type LoadMethod } from './load-generator.js';
import type { Result } from './report.js';
import { BenchService } from './service.js';

/** Stored renewals over gRPC by many callers, beside what the same server echoes to the same callers. */

const TRUST_DOMAIN = 'bench.palyra.internal';
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
  const { roots, devices } = await enrolled(dataDir);
  const service = await BenchService.start(dataDir, { PALYRA_TRUST_DOMAIN: TRUST_DOMAIN }, profiling());
  try {
    const serverName = `control-plane.${TRUST_DOMAIN}`;
    const setup = { address: service.grpc, roots, serverName, trustDomain: TRUST_DOMAIN };
    const load = LoadGenerator.start(go, directory, { ...setup, callers: CALLERS, devices });
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

/** A store as the service makes it, with devices that have paired. */
async function enrolled(dataDir: string): Promise<{ roots: string; devices: LoadDevice[] }> {
  const store = await openStore({ dataDir, masterKey: { kind: 'default-key-file' } });
  try {
    return await store.unitOfWork.run(async (unit) => {
      const trustDomain = await fixTrustDomain(unit, TRUST_DOMAIN, systemRandomBytes);
      const authority = await CertificateAuthority.createOrLoad(unit, { trustDomain, clock: systemClock });
      const devices: LoadDevice[] = [];
      while (devices.length < CALLERS * DEVICES_PER_CALLER) devices.push(await enrolOne(unit, authority));
      return { roots: trustBundlePem(authority.trustBundle()), devices };
    });
  } finally {
    await store.close();
  }
}

async function enrolOne(unit: Unit, authority: CertificateAuthority): Promise<LoadDevice> {
  const deviceId = newDeviceId(systemClock, randomBytes);
  const identity = generateKeyPairSync('ed25519');
  const csr = verifyCsr(makeCsr(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey));
  const order = { deviceId, csr, lifetimeMs: DEFAULT_CERT_VALIDITY };
  const issued = await recordIssued(unit, await authority.issueDeviceCertificate(order));
  const enrolment = {
    deviceId,
    clientKind: 'node',
    platform: 'linux',
    identityKey: rawIdentityKey(identity.publicKey),
    certificate: deviceCertificate(issued),
  } as const;
  await enrolDevice(unit, enrolment, { replaceIdentity: false, now: systemClock.now(), withdrawn: [] });
  const { d = '' } = identity.privateKey.export({ format: 'jwk' });
  const seed = Buffer.from(d, 'base64url').toString('base64');
  return { id: deviceId, seed, parent: createHash('sha256').update(issued.der).digest('base64') };
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
