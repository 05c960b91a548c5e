#!/usr/bin/env node
// `npm test`: builds, runs Jest, and closes with one line a machine can read: `N passed, N failed, N skipped`.
// Arguments go to Jest, for example `npm test -- src/pairing`.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { setUpAioquic } from './setup-aioquic.mjs';

const report = 'reports/jest.json';
mkdirSync('reports', { recursive: true });
rmSync(report, { force: true });

run('npm', ['run', '--silent', 'build']);
if (!setUpAioquic() && process.env.PALYRA_TEST_AIOQUIC === 'required') process.exit(1);
const jest = spawnSync(
  process.execPath,
  [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    '--json',
    `--outputFile=${report}`,
    ...process.argv.slice(2),
  ],
  // Jest's JSON goes to the file; its standard output is the same JSON again.
  { stdio: ['ignore', 'ignore', 'inherit'] },
);

const result = JSON.parse(readFileSync(report, 'utf8'));
const broken = result.testResults.filter(
  (file) => file.status === 'failed' && file.assertionResults.length === 0,
);
for (const file of broken) console.error(`${file.name} did not run: ${file.message}`);
const failed = result.numFailedTests + broken.length;
const skipped = result.numPendingTests + result.numTodoTests;
console.log(`${result.numPassedTests} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = jest.status === 0 && failed === 0 && result.numPassedTests > 0 ? 0 : 1;

function run(command, args) {
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) process.exit(status ?? 1);
}
