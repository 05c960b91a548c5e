import { randomInt } from 'node:crypto';

/**
 * How much a test does: little in `npm test`, much in `npm run soak`, by the same code. Only the soak command sets
 * PALYRA_TEST_SOAK; PALYRA_TEST_SEED repeats a run that failed.
 */
export const isSoak = process.env['PALYRA_TEST_SOAK'] === '1';

/** `ci` rounds in `npm test`, `soak` in `npm run soak`. */
export const rounds = (ci: number, soak: number): number => (isSoak ? soak : ci);

/** The limit of a test that takes `ciMs` at most in `npm test` and repeats its work `factor` times in a soak. */
export const timeLimit = (ciMs: number, factor: number): number =>
  isSoak ? ciMs * Math.max(1, factor) : ciMs;

/**
 * The seed of a random test, printed with its count so that a failure can be repeated. To stderr: Jest's own console
 * prints a stack with it.
 */
export function announcedSeed(test: string, count: number): number {
  const given = Number(process.env['PALYRA_TEST_SEED'] ?? Number.NaN);
  const seed = Number.isInteger(given) ? given : randomInt(2 ** 31);
  process.stderr.write(`${test}: ${String(count)} rounds, PALYRA_TEST_SEED=${String(seed)}\n`);
  return seed;
}
