#!/usr/bin/env node
// `npm run mutate`: breaks each security check in a copy of the tree and expects a test to notice.
// Ends with `N killed, N survived` and fails unless every mutation was killed.
//   --only <pattern>   those whose name, file or spec matches this regular expression
//   --list             says what there is, and runs nothing
//   --jobs <n>         how many run at a time (2)
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { endAllRuns, runJest } from './jest-run.mjs';
import { applied } from './mutation.mjs';
import { mutations } from './mutations/index.mjs';
import { Workspace } from './workspace.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    list: { type: 'boolean', default: false },
    jobs: { type: 'string', default: '2' },
  },
});
const chosen = mutations.filter((mutation) => matches(mutation, values.only));
if (values.list) list(chosen);
else process.exitCode = await mutate(chosen, Number(values.jobs));

function matches({ name, file, test }, pattern) {
  if (pattern === undefined) return true;
  const wanted = new RegExp(pattern, 'i');
  return [name, file, test].some((text) => wanted.test(text));
}

function list(all) {
  for (const { name, rule, file, test } of all) console.log(`${file}: ${name}\n    ${rule}; ${test}`);
  console.log(`${all.length} mutations`);
}

/** Returns the exit code. */
async function mutate(all, jobs) {
  const workspaces = [];
  process.once('exit', () => {
    endAllRuns();
    for (const workspace of workspaces) workspace.remove();
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));

  for (let job = 0; job < jobs; job += 1) workspaces.push(new Workspace(ROOT));
  const unhealthy = await baseline(workspaces[0], all, jobs);
  const queue = [...all];
  const results = [];
  const work = async (workspace) => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const result = await judge(workspace, next, unhealthy);
      results.push({ mutation: next, ...result });
      tell(results.length, all.length, next, result);
    }
  };
  await Promise.all(workspaces.map(work));
  return conclude(results);
}

/** The specs that fail on the unbroken tree: they could tell nothing. */
async function baseline(workspace, all, jobs) {
  const specs = [...new Set(all.map(({ test }) => test))];
  const begun = performance.now();
  const run = await runJest(workspace.path, specs, { workers: jobs });
  if (run === undefined) throw new Error('Jest gave no report for the unbroken tree');
  console.log(
    `unbroken: ${run.passed} passed, ${run.failed.length} failed in ${specs.length} specs, ${since(begun)}`,
  );
  for (const name of run.failed) console.log(`    failed: ${name}`);
  for (const spec of run.broken) console.log(`    does not run: ${spec}`);
  return new Set(run.unhealthy);
}

/** `killed`, `survived`, `stale` (does not fit its file any more) or `unclear` (no test of it ran properly). */
async function judge(workspace, mutation, unhealthy) {
  const begun = performance.now();
  const verdict = await verdictOn(workspace, mutation, unhealthy);
  return { ...verdict, took: since(begun) };
}

async function verdictOn(workspace, mutation, unhealthy) {
  if (applied(mutation, workspace.read(mutation.file)) === undefined) {
    return { verdict: 'stale', note: 'its text does not stand exactly once in the file' };
  }
  if (unhealthy.has(mutation.test))
    return { verdict: 'unclear', note: 'the spec fails on the unbroken tree' };
  const run = await workspace.whileBroken(mutation, () =>
    runJest(workspace.path, [mutation.test], { only: mutation.only }),
  );
  if (run === undefined) return { verdict: 'unclear', note: 'Jest gave no report in time' };
  if (run.failed.length > 0) return { verdict: 'killed', note: run.failed[0] };
  if (run.broken.length > 0) return { verdict: 'unclear', note: 'the spec did not run' };
  if (run.passed === 0) return { verdict: 'unclear', note: 'no test ran' };
  return { verdict: 'survived', note: `${run.passed} tests passed` };
}

function tell(number, count, mutation, { verdict, note, took }) {
  const place = `${String(number).padStart(String(count).length)}/${count}`;
  console.log(`${place} ${verdict.padEnd(8)} ${took.padStart(6)}  ${mutation.file}: ${mutation.name}`);
  if (verdict !== 'killed') console.log(`    ${note} (${mutation.test}; ${mutation.rule})`);
}

function conclude(results) {
  const count = (verdict) => results.filter((result) => result.verdict === verdict).length;
  const [stale, unclear] = [count('stale'), count('unclear')];
  if (stale > 0) console.log(`${stale} stale: their text has changed, bring them up to date`);
  if (unclear > 0) console.log(`${unclear} unclear: no test could tell`);
  console.log(`${count('killed')} killed, ${count('survived')} survived`);
  return results.length > 0 && count('killed') === results.length ? 0 : 1;
}

function since(begun) {
  return `${((performance.now() - begun) / 1000).toFixed(1)} s`;
}
