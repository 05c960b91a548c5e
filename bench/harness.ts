import { performance } from 'node:perf_hooks';

/** One thing to time. `run` does it once; whatever it needs was made before. */
export interface Case {
  readonly name: string;
  readonly run: () => unknown;
  /** How many units of the table one call is; 1 by default. */
  readonly operations?: number;
}

export interface Timing {
  readonly name: string;
  /** Medians over the rounds, microseconds for one operation: of the clock, and of this process's CPU time. */
  readonly wallUs: number;
  readonly cpuUs: number;
  readonly perSecond: number;
  /** CPU time of one operation in each round, in their order. */
  readonly rounds: readonly RoundTime[];
}

/** One operation in one round, microseconds. */
export interface RoundTime {
  readonly wallUs: number;
  readonly cpuUs: number;
}

export interface Settings {
  /** Rounds that count. */
  readonly rounds: number;
  /** How long a case runs before anything counts, so that its code is compiled, milliseconds. */
  readonly warmUpMs: number;
  /** About the length of a case's turn in a round, milliseconds. */
  readonly turnMs: number;
}

export const DEFAULTS: Settings = { rounds: 15, warmUpMs: 1500, turnMs: 100 };

/**
 * Times cases side by side: in each round every case has its turn, so that what they are compared with was measured in
 * the same moments of the same run, whatever else the machine does.
 */
export async function timeTogether(cases: readonly Case[], settings = DEFAULTS): Promise<Timing[]> {
  const counts = new Map<Case, number>();
  const rounds = cases.map((): RoundTime[] => []);
  for (const one of cases) counts.set(one, await warmUp(one, settings));
  for (let round = 0; round < settings.rounds; round += 1) {
    for (const [index, one] of cases.entries()) {
      rounds[index]?.push(await turn(one, counts.get(one) ?? 1));
    }
  }
  return cases.map(({ name }, index) => timingOf(name, rounds[index] ?? []));
}

/** Runs a case until it is warm, and says how many calls make a turn. */
async function warmUp(one: Case, { warmUpMs, turnMs }: Settings): Promise<number> {
  const start = performance.now();
  let calls = 1;
  for (;;) {
    const { wallUs } = await turn(one, calls);
    const callsPerTurn = Math.max(1, Math.round((turnMs * 1000) / (wallUs * (one.operations ?? 1))));
    if (performance.now() - start >= warmUpMs) return callsPerTurn;
    calls = Math.min(calls * 2, callsPerTurn);
  }
}

async function turn(one: Case, calls: number): Promise<RoundTime> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  for (let call = 0; call < calls; call += 1) {
    const result = one.run();
    if (result instanceof Promise) await result;
  }
  const wall = (performance.now() - start) * 1000;
  const used = process.cpuUsage(cpu);
  const operations = calls * (one.operations ?? 1);
  return { wallUs: wall / operations, cpuUs: (used.user + used.system) / operations };
}

/** What the rounds of one case come to. */
export function timingOf(name: string, rounds: readonly RoundTime[]): Timing {
  const wallUs = median(rounds.map((round) => round.wallUs));
  const cpuUs = median(rounds.map((round) => round.cpuUs));
  return { name, wallUs, cpuUs, perSecond: 1e6 / wallUs, rounds };
}

/** How fast `timing` is beside `limit`: the median of the ratios of each round, by CPU time. 1 is as fast. */
export function ratioTo(limit: Timing, timing: Timing): number {
  return median(timing.rounds.map(({ cpuUs }, round) => (limit.rounds[round]?.cpuUs ?? 0) / cpuUs));
}

/** The same by the clock, for what waits rather than computes. */
export function wallRatioTo(limit: Timing, timing: Timing): number {
  return median(timing.rounds.map(({ wallUs }, round) => (limit.rounds[round]?.wallUs ?? 0) / wallUs));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}
