import { fileURLToPath } from 'node:url';
import { printResult, saveResults, type Result } from './report.js';

/** `npm run bench [-- name …]`: see bench/README.md. */

/** Results are printed as they come. */
type Bench = () => Promise<Iterable<Result> | AsyncIterable<Result>>;

const BENCHES: Readonly<Record<string, Bench>> = {
  issuance: async () => (await import('./issuance.js')).benchIssuance(),
  handshake: async () => (await import('./handshake.js')).benchHandshake(),
  pairing: async () => (await import('./pairing.js')).benchPairing(),
  quic: async () => (await import('./quic.js')).benchQuic(),
  quinn: async () => (await import('./quinn.js')).benchQuinn(),
  registry: async () => (await import('./registry.js')).benchRegistry(),
  renewals: async () => (await import('./renewals.js')).benchRenewals(),
  revoke: async () => (await import('./revoke.js')).benchRevoke(),
  store: async () => (await import('./store.js')).benchStore(),
};

/** From `dist-bench/bench`, where this runs. */
const RESULTS = fileURLToPath(new URL('../../bench/results/latest.json', import.meta.url));

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(BENCHES, name));
if (unknown.length > 0) {
  console.error(`there is no bench "${unknown.join('", "')}"; there are ${Object.keys(BENCHES).join(', ')}`);
  process.exitCode = 2;
} else {
  await runBenches(wanted.length > 0 ? wanted : Object.keys(BENCHES));
}

/** Exit code 1 when a goal was missed. */
async function runBenches(names: readonly string[]): Promise<void> {
  const results: Result[] = [];
  for (const name of names) {
    for await (const result of (await BENCHES[name]?.()) ?? []) {
      printResult(result);
      results.push(result);
    }
  }
  saveResults(RESULTS, results);
  const goals = results.flatMap(({ ratios }) => ratios);
  if (goals.some(({ value, goal }) => goal !== undefined && value < goal)) process.exitCode = 1;
}
