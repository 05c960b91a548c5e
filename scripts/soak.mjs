#!/usr/bin/env node
// `npm run soak`: the specs that scale (they import test/scale.ts), with their large counts. Takes hours where `npm test`
// takes minutes. Arguments go to Jest as patterns of paths or options, for example `npm run soak -- -t rekey`.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const specs = ['src', 'test']
  .flatMap((folder) => readdirSync(folder, { recursive: true }).map((name) => join(folder, name)))
  .filter((path) => path.endsWith('.spec.ts') && /from '[./]+\/scale\.js'/.test(readFileSync(path, 'utf8')));

if (specs.length === 0) {
  console.error('no spec scales');
  process.exit(1);
}
const { status } = spawnSync(
  process.execPath,
  ['scripts/run-tests.mjs', '--runTestsByPath', ...specs, ...process.argv.slice(2)],
  { stdio: 'inherit', env: { ...process.env, PALYRA_TEST_SOAK: '1' } },
);
process.exitCode = status ?? 1;
