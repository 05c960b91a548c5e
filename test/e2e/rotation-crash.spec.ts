import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { OperatorClient } from '../../src/client/operator-client.js';
import { RootState } from '../../src/generated/palyra/controlplane/v1/ca.js';
import { type PseudoRandom, pick, pseudoRandom } from '../pseudo-random.js';
import { announcedSeed, rounds, timeLimit } from '../scale.js';
import { auditFindings } from '../store/audit-findings.js';
import { failureOf, pairedDevice } from './paired-device.js';
import { ServiceProcess } from './service-process.js';

const { ROOT_STATE_PREPARED, ROOT_STATE_RETIRING, ROOT_STATE_SIGNING } = RootState;

/** A step takes about so long; a kill comes at any moment of it, or shortly before or after. */
const STEP_MS = 40;

/** The steps, what they leave the roots in when they are done, and before. Newest root first. */
const STEPS = {
  prepare: {
    run: (operator: OperatorClient): Promise<unknown> => operator.prepareRoot({ reason: 'test' }),
    before: [ROOT_STATE_SIGNING],
    after: [ROOT_STATE_PREPARED, ROOT_STATE_SIGNING],
  },
  activate: {
    run: (operator: OperatorClient): Promise<unknown> => operator.activateRoot({ reason: 'test' }),
    before: [ROOT_STATE_PREPARED, ROOT_STATE_SIGNING],
    after: [ROOT_STATE_SIGNING, ROOT_STATE_RETIRING],
  },
} as const;

type StepName = keyof typeof STEPS;

describe('SIGKILL during a rotation of the CA', () => {
  const count = rounds(4, 40);

  it(
    `leaves a step wholly done or not at all, whatever the moment (${String(count)} kills)`,
    async () => {
      const random = pseudoRandom(announcedSeed('rotation kills', count));
      for (let round = 0; round < count; round += 1)
        await killDuring(pick(random, ['prepare', 'activate']), random);
    },
    timeLimit(90_000, 10),
  );
});

async function killDuring(name: StepName, random: PseudoRandom): Promise<void> {
  const service = await ServiceProcess.start();
  try {
    const first = await service.operator();
    const device = await pairedDevice(service, first);
    if (name === 'activate') await STEPS.prepare.run(first);
    const step = STEPS[name];
    const failed = failureOf(step.run(first));
    await sleep(random(STEP_MS));
    await service.restart('SIGKILL');
    const operator = await service.operator();
    const found = await states(operator);
    const isAcknowledged = (await failed) === undefined;
    expect(isAcknowledged ? [step.after] : [step.before, step.after]).toContainEqual(found);
    // The same command again finishes what was not done, and the device that was in is in.
    if (found.join() !== step.after.join()) await step.run(operator);
    expect(await states(operator)).toEqual(step.after);
    expect((await device.attempt()).answers).toMatchObject([{ ok: true }]);
    await device.remove();
    await service.stop();
    expect(await service.withStore(auditFindings)).toEqual([]);
  } finally {
    await service.remove();
  }
}

/** Of all roots, the newest first. */
async function states(operator: OperatorClient): Promise<RootState[]> {
  const { roots } = await operator.listRoots();
  const madeAt = (root: (typeof roots)[number]): number => root.createTime?.getTime() ?? 0;
  const byAge = [...roots].sort((one, other) => madeAt(other) - madeAt(one));
  return byAge.map(({ state }) => state);
}
