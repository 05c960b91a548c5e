import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spake2plusOfVerifier } from './handshake.js';
import { ratioTo, timingOf, type Timing } from './harness.js';
import { PairedWorld, STEPS, type Step, type Watch } from './paired-world.js';
import { fill } from './registry.js';
import type { Result } from './report.js';

const MANY = Number(process.env['PALYRA_BENCH_DEVICES'] ?? 100_000);
const ROUNDS = 15;
const WARM_UP = 100;
/** Pairings, and runs of the bare arithmetic, in a round. */
const TURN = 20;

interface Spent {
  wallUs: number;
  cpuUs: number;
}

/**
 * What a pairing costs the server: CPU of this process while a service works, in sums of a round. The device's work is
 * done in between and is not counted; what the collector and compiler do in the background of it may be.
 */
export async function benchPairing(): Promise<Result[]> {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-bench-'));
  const worlds: PairedWorld[] = [];
  try {
    const [empty, full] = [await openWorld(directory, 0), await openWorld(directory, MANY)];
    worlds.push(empty, full);
    return [await measure(empty, full)];
  } finally {
    for (const { store } of worlds) await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function openWorld(directory: string, count: number): Promise<PairedWorld> {
  const dataDir = join(directory, String(count));
  mkdirSync(dataDir, { mode: 0o700 });
  const world = await PairedWorld.open(dataDir);
  if (count === 0) return world;
  await world.store.close();
  fill(join(dataDir, 'palyra.db'), count, 'bench');
  return PairedWorld.open(dataDir);
}

async function measure(empty: PairedWorld, full: PairedWorld): Promise<Result> {
  const arithmetic = await spake2plusOfVerifier();
  const bare: Spent[] = [];
  const few = new Map<Step, Spent[]>(STEPS.map((step) => [step, []]));
  const many = new Map<Step, Spent[]>(STEPS.map((step) => [step, []]));
  for (let round = -1; round < ROUNDS; round += 1) {
    const turns = round < 0 ? WARM_UP : TURN;
    const limit = await timed(() => {
      for (let turn = 0; turn < turns; turn += 1) arithmetic();
      return Promise.resolve();
    });
    const [small, large] = [await pairings(empty, turns), await pairings(full, turns)];
    if (round < 0) continue;
    bare.push(each(limit.spent, turns));
    for (const step of STEPS) {
      few.get(step)?.push(each(small[step], turns));
      many.get(step)?.push(each(large[step], turns));
    }
  }
  return result(timingOf('limit: SPAKE2+ of the verifier, bare', bare), few, many);
}

function result(limit: Timing, few: ReadonlyMap<Step, Spent[]>, many: ReadonlyMap<Step, Spent[]>): Result {
  const [recorded, all] = [STEPS.slice(0, 2), STEPS];
  const sum = (name: string, of: ReadonlyMap<Step, Spent[]>, steps: readonly Step[]): Timing =>
    timingOf(name, added(steps.map((step) => of.get(step) ?? [])));
  const pairing = sum('pairing: hello to recorded request', few, recorded);
  const whole = sum('the same, approved and collected', few, all);
  const pairingMany = sum(`pairing: hello to recorded request, ${MANY}`, many, recorded);
  const wholeMany = sum(`the same, approved and collected, ${MANY}`, many, all);
  const steps = STEPS.map((step) => sum(`  ${step}`, few, [step]));
  const stepsMany = STEPS.map((step) => sum(`  ${step}, ${MANY}`, many, [step]));
  return {
    name: `a pairing on the server, with an empty registry and with ${MANY} devices`,
    timings: [limit, pairing, whole, ...steps, pairingMany, wholeMany, ...stepsMany],
    // At most 5 times the limit, and at most 1.2 times the empty registry.
    ratios: [
      { name: 'pairing beside its bare SPAKE2+', value: ratioTo(limit, pairing), goal: 0.2 },
      { name: 'approved and collected, beside bare SPAKE2+', value: ratioTo(limit, whole) },
      { name: `pairing with ${MANY} beside none`, value: ratioTo(pairing, pairingMany), goal: 0.83 },
      { name: `approved and collected, ${MANY} beside none`, value: ratioTo(whole, wholeMany), goal: 0.83 },
    ],
  };
}

const each = ({ wallUs, cpuUs }: Spent, count: number): Spent => ({
  wallUs: wallUs / count,
  cpuUs: cpuUs / count,
});

/** Round by round. */
function added(parts: readonly (readonly Spent[])[]): Spent[] {
  return (parts[0] ?? []).map((_, round) => {
    const spent = parts.map((part) => part[round] ?? { wallUs: 0, cpuUs: 0 });
    return {
      wallUs: spent.reduce((sum, { wallUs }) => sum + wallUs, 0),
      cpuUs: spent.reduce((sum, { cpuUs }) => sum + cpuUs, 0),
    };
  });
}

async function pairings(world: PairedWorld, count: number): Promise<Record<Step, Spent>> {
  const sums = Object.fromEntries(STEPS.map((step) => [step, { wallUs: 0, cpuUs: 0 }])) as Record<
    Step,
    Spent
  >;
  const watch: Watch = async (step, serve) => {
    const { value, spent } = await timed(serve);
    sums[step].wallUs += spent.wallUs;
    sums[step].cpuUs += spent.cpuUs;
    return value;
  };
  for (let pairing = 0; pairing < count; pairing += 1) await world.pair(watch);
  return sums;
}

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; spent: Spent }> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const value = await work();
  const wallUs = (performance.now() - start) * 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { value, spent: { wallUs, cpuUs: user + system } };
}
