#!/usr/bin/env node
import { runCli } from './cli.js';

/** What is still open when a command is over (a connection that is being broken off) must not keep the process. */
const LINGER_MS = 500;

process.exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
});
setTimeout(() => process.exit(), LINGER_MS).unref();
