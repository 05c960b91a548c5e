import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname } from 'node:path';
import type { Distribution } from './distribution.js';
import type { Timing } from './harness.js';

export interface Ratio {
  readonly name: string;
  readonly value: number;
  /** What it should at least be; nothing: only told. */
  readonly goal?: number;
}

export interface Result {
  readonly name: string;
  readonly timings: readonly Timing[];
  readonly ratios: readonly Ratio[];
  readonly distributions?: readonly Distribution[];
}

export function printResult({ name, timings, ratios, distributions = [] }: Result): void {
  console.log(`\n${name}`);
  if (timings.length > 0) table(['', 'CPU µs', 'µs', 'per second'], timings.map(timingRow));
  if (ratios.length > 0) table(['', 'ratio', 'goal', ''], ratios.map(ratioRow));
  if (distributions.length > 0) table(DISTRIBUTION_HEAD, distributions.map(distributionRow));
}

const DISTRIBUTION_HEAD = ['milliseconds', 'samples', 'p50', 'p90', 'p99', 'max', 'aim of p99', ''];

function distributionRow({ name, samples, p50, p90, p99, max, aimOfP99 }: Distribution): string[] {
  const row = [name, samples.toString(), ...[p50, p90, p99, max].map((value) => value.toFixed(1))];
  if (aimOfP99 === undefined) return [...row, '', ''];
  return [...row, aimOfP99.toString(), p99 <= aimOfP99 ? 'within' : 'beyond'];
}

function timingRow({ name, cpuUs, wallUs, perSecond }: Timing): string[] {
  return [name, cpuUs.toFixed(1), wallUs.toFixed(1), Math.round(perSecond).toString()];
}

function ratioRow({ name, value, goal }: Ratio): string[] {
  if (goal === undefined) return [name, value.toFixed(2), '', ''];
  return [name, value.toFixed(2), goal.toFixed(2), value >= goal ? 'met' : 'MISSED'];
}

/** The first column to the left, the others to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  for (const row of [head, ...rows]) {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    console.log(`  ${cells.join('   ')}`.trimEnd());
  }
}

export function saveResults(path: string, results: readonly Result[]): void {
  const [cpu] = cpus();
  const machine = { cpu: cpu?.model, cores: cpus().length, load: loadavg()[0] };
  const software = { node: process.versions.node, openssl: process.versions['openssl'] };
  mkdirSync(dirname(path), { recursive: true });
  const content = { when: new Date().toISOString(), machine, software, results };
  writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`);
}
