import { randomInt } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { requireEndpoint } from '../src/client/grpc/endpoint.js';
import { OperatorClient } from '../src/client/operator-client.js';
import { operatorCredential } from '../src/client/operator-credential.js';
import { newCodeId } from '../src/pairing/protocol/code.js';
import { PairingCodeKind } from '../src/generated/palyra/controlplane/v1/pairing.js';
import { systemRandomBytes } from '../src/random/random-bytes.js';
import { median } from './harness.js';
import { compareRanks } from './rank.js';
import { BenchService } from './service.js';
import { Stranger, type TryTime } from './stranger.js';

/**
 * `npm run oracle [-- tries]`: whether the time of an answer tells a stranger what a code is. Starts a service of its own,
 * tries codes in all states in random order over one connection, and compares the times of each state with those of a
 * live code (see bench/README.md). Exit code 1 when one differs that should not.
 */

const TRIES_PER_PIN = 3;
/** The shortest life that a code can have, milliseconds. */
const SHORT_LIFE_MS = 60_000;
/** Beyond this many standard deviations chance is no explanation (one in 10 000 for each comparison). */
const NOTABLE = 3.9;
/** What differs by less than this needs hundreds of tries at one code to be seen; a PIN has three. */
const NOTABLE_AUC = 0.05;

const tries = Number(process.argv[2] ?? 1000);
const directory = await mkdtemp(join(tmpdir(), 'palyra-oracle-'));
const service = await BenchService.start(directory, {
  PALYRA_PAIRING_STARTS_PER_MINUTE_PER_ADDRESS: '1000000',
  PALYRA_PAIRING_STARTS_PER_MINUTE: '1000000',
});
try {
  process.exitCode = await measure(service.grpc);
} finally {
  await service.stop();
  await rm(directory, { recursive: true, force: true });
}

/** Gives the id of a code in this state, another one where a try changes it. */
type Source = () => string;

async function measure(grpc: string): Promise<number> {
  const endpoint = requireEndpoint(grpc);
  const token = (await readFile(join(directory, 'admin-token'), 'utf8')).trim();
  const operator = await OperatorClient.connect(endpoint, operatorCredential(token));
  const stranger = new Stranger(endpoint);
  console.log(`${String(tries)} tries of each; minting, and waiting a minute for codes to expire`);
  const pins = await sources(operator, stranger, 'pin');
  const links = await sources(operator, stranger, 'link');
  await sleep(SHORT_LIFE_MS + 1_000);
  for (let warm = 0; warm < 200; warm += 1) await stranger.try(newCodeId('pin', systemRandomBytes));
  let notable = 0;
  for (const [kind, states] of [
    ['PIN', pins],
    ['link', links],
  ] as const) {
    notable += report(kind, await timesOf(stranger, states));
  }
  stranger.close();
  operator.close();
  return notable === 0 ? 0 : 1;
}

async function sources(
  operator: OperatorClient,
  stranger: Stranger,
  kind: 'pin' | 'link',
): Promise<Record<string, Source>> {
  const mint = async (ttlMs?: number): Promise<string> => {
    const code = await operator.createPairingCode({
      kind: kind === 'pin' ? PairingCodeKind.PAIRING_CODE_KIND_PIN : PairingCodeKind.PAIRING_CODE_KIND_LINK,
      ...(ttlMs === undefined ? {} : { ttl: { seconds: ttlMs / 1000 } }),
    });
    return code.code?.codeId ?? '';
  };
  const always =
    (codeId: string): Source =>
    () =>
      codeId;
  const expired = await mint(SHORT_LIFE_MS);
  const withdrawn = await mint();
  await operator.withdrawPairingCode({ codeId: withdrawn });
  const dead = {
    unknown: () => newCodeId(kind, systemRandomBytes),
    'unknown, the same again': always(newCodeId(kind, systemRandomBytes)),
    withdrawn: always(withdrawn),
    expired: always(expired),
  };
  if (kind === 'link') return { live: always(await mint()), ...dead };

  const spent = await mint();
  for (let guess = 0; guess < TRIES_PER_PIN; guess += 1) await stranger.try(spent);
  const live: string[] = [];
  for (let index = 0; index < Math.ceil(tries / TRIES_PER_PIN); index += 1) live.push(await mint());
  let used = 0;
  return { live: () => live[used++ % live.length] ?? '', ...dead, spent: always(spent) };
}

/** In random order, so that whatever else the machine does meets all states alike. */
async function timesOf(
  stranger: Stranger,
  states: Readonly<Record<string, Source>>,
): Promise<Record<string, TryTime[]>> {
  const plan = Object.keys(states).flatMap((state) => Array.from({ length: tries }, () => state));
  for (let last = plan.length - 1; last > 0; last -= 1) {
    const other = randomInt(last + 1);
    [plan[last], plan[other]] = [plan[other] ?? '', plan[last] ?? ''];
  }
  const times: Record<string, TryTime[]> = Object.fromEntries(
    Object.keys(states).map((state) => [state, []]),
  );
  for (const state of plan) times[state]?.push(await stranger.try(states[state]?.() ?? ''));
  return times;
}

/** Prints one line for each state and step, and returns how many differ from the live code. */
function report(kind: string, times: Readonly<Record<string, readonly TryTime[]>>): number {
  let notable = 0;
  const { live = [], ...others } = times;
  for (const step of ['welcomeUs', 'refusalUs'] as const) {
    const base = live.map((time) => time[step]);
    const name = step === 'welcomeUs' ? 'hello to welcome' : 'proof to refusal';
    console.log(`\n${kind} code, ${name}: live ${median(base).toFixed(0)} us (median)`);
    for (const [state, sample] of Object.entries(others)) {
      const values = sample.map((time) => time[step]);
      const { auc, z } = compareRanks(base, values);
      const differs = Math.abs(z) > NOTABLE && Math.abs(auc - 0.5) > NOTABLE_AUC;
      if (differs) notable += 1;
      const median_ = median(values).toFixed(0);
      console.log(
        `  ${state.padEnd(24)} ${median_.padStart(6)} us  AUC ${auc.toFixed(3)}  z ${z.toFixed(1)}  ${reading(auc, z)}`,
      );
    }
  }
  return notable;
}

function reading(auc: number, z: number): string {
  if (Math.abs(z) <= NOTABLE) return 'not to be told from a live code';
  const better = Math.max(auc, 1 - auc);
  const share = `one look at each guesses right ${(100 * better).toFixed(0)} times in 100`;
  return Math.abs(auc - 0.5) > NOTABLE_AUC ? `DIFFERS: ${share}` : `differs a little: ${share}`;
}
