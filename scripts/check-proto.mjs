#!/usr/bin/env node
// The proto is formatted and linted, and the committed generated code is what it generates.
import { spawnSync } from 'node:child_process';

buf(['format', '--diff', '--exit-code']);
buf(['lint']);
buf(['generate']);
buf(['build', '--as-file-descriptor-set', '-o', 'proto/descriptor-set.binpb']);
const stale = spawnSync(
  'git',
  ['status', '--porcelain', '--', 'src/generated', 'proto/descriptor-set.binpb'],
  {
    encoding: 'utf8',
  },
);
if (stale.stdout.trim() !== '') {
  console.error(`generated code is stale; run \`npm run proto\` and commit:\n${stale.stdout}`);
  process.exit(1);
}

function buf(args) {
  const { status } = spawnSync('npx', ['--no-install', 'buf', ...args], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
