import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Longest run of the specs of one mutation, milliseconds: what hangs is not a test that failed. */
const RUN_LIMIT_MS = 180_000;
/** Shorter than the tests' own limit, since what was broken may make a test wait for what never comes. */
const TEST_LIMIT_MS = 15_000;

/**
 * What Jest made of some specs.
 *
 * @typedef {object} JestRun
 * @property {number} passed Tests that ran and passed.
 * @property {string[]} failed Full names of the tests that ran and failed.
 * @property {string[]} broken Specs in which no test ran: they did not compile, or an import failed.
 * @property {string[]} unhealthy Paths of the specs with anything failed or broken.
 */

/**
 * Runs Jest in a copy of the tree. `undefined` when it gave no report in time.
 *
 * @returns {Promise<JestRun | undefined>}
 */
export async function runJest(directory, specs, { only, workers = 1 } = {}) {
  const report = join(directory, 'mutate-report.json');
  rmSync(report, { force: true });
  await finished(directory, [
    '--experimental-vm-modules',
    'node_modules/jest/bin/jest.js',
    '--json',
    `--outputFile=${report}`,
    '--silent',
    '--forceExit',
    `--testTimeout=${TEST_LIMIT_MS}`,
    ...(workers === 1 ? ['--runInBand'] : [`--maxWorkers=${workers}`]),
    ...(only === undefined ? [] : ['--testNamePattern', only]),
    '--runTestsByPath',
    ...specs,
  ]);
  return summary(directory, report);
}

const running = new Set();

/** Ends what still runs; for the end of this process. */
export function endAllRuns() {
  for (const jest of running) jest.kill('SIGKILL');
}

async function finished(directory, args) {
  const jest = spawn(process.execPath, args, { cwd: directory, stdio: 'ignore', timeout: RUN_LIMIT_MS });
  running.add(jest);
  await new Promise((resolve) => {
    jest.once('error', resolve);
    jest.once('close', resolve);
  });
  running.delete(jest);
}

function summary(directory, report) {
  let results;
  try {
    results = JSON.parse(readFileSync(report, 'utf8')).testResults;
  } catch {
    return undefined;
  }
  const tests = results.flatMap((spec) => spec.assertionResults);
  const pathOf = (spec) => spec.name.slice(directory.length + 1);
  const broken = results.filter((spec) => spec.status === 'failed' && spec.assertionResults.length === 0);
  return {
    passed: tests.filter((test) => test.status === 'passed').length,
    failed: tests.filter((test) => test.status === 'failed').map((test) => test.fullName),
    broken: broken.map(pathOf),
    unhealthy: results.filter((spec) => spec.status === 'failed').map(pathOf),
  };
}
