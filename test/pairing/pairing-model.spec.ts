import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeOperatorRecord, operatorRecordName } from '../../src/operators/operator-record.js';
import { memoryDirectory } from '../store/temporary-store.js';
import { announcedSeed, rounds, timeLimit } from '../scale.js';
import { cheapPassword } from './cheap-password.js';
import { pairingCommands } from './model/pairing-commands.js';
import { PairingDriver } from './model/pairing-driver.js';
import { type Operation, emptyModel } from './model/pairing-model.js';
import { PairingWorld, admin } from './pairing-world.js';

const RUNS = rounds(200, 2_000);
/** A run leaves a month behind it, and the CA of a world lives ten years. */
const RUNS_PER_WORLD = 50;

/** Without these the runs would prove little; each comes ten times or more in two hundred of them. */
const SURELY_SEEN = [
  'hello: believed',
  'hello: CONFIRMATION_FAILED',
  'proof: done',
  'proof: PAIRING_REFUSED',
  'approve: done',
  'approve: ALREADY_DECIDED',
  'approve: IDENTITY_CHANGED',
  'approve: IDENTITY_KEY_IN_USE',
  'approve: KEY_IN_USE',
  'reject: done',
  'reject: ALREADY_DECIDED',
  'collect: pending_approval',
  'collect: completed',
  'housekeeping: done',
  'restart: done',
];

/** With the operator who mints in its register, since codes that are approved beforehand ask for that. */
async function newWorld(): Promise<PairingWorld> {
  const world = await PairingWorld.open({ passwordOf: cheapPassword, dataDir: await memoryDirectory() });
  const record = encodeOperatorRecord({ role: 'approver', secretHash: Buffer.alloc(32), createdAt: 1 });
  await world.temporary.store.unitOfWork.run(({ secrets }) =>
    secrets.write(operatorRecordName(admin.operatorId), record),
  );
  return world;
}

/** A world serves many runs, but none after a run that failed. */
class Worlds {
  #world: PairingWorld | undefined;
  #runs = 0;

  async next(): Promise<PairingWorld> {
    if (this.#runs === RUNS_PER_WORLD) await this.drop();
    this.#runs += 1;
    this.#world ??= await newWorld();
    return this.#world;
  }

  keep(world: PairingWorld): void {
    this.#world = world;
  }

  async drop(): Promise<void> {
    await this.#world?.remove();
    this.#world = undefined;
    this.#runs = 0;
  }
}

describe('pairing', () => {
  it(
    'does what its model does, whatever happens in whatever order and at once',
    async () => {
      const worlds = new Worlds();
      const seen: Record<string, number> = {};
      const see = ({ kind }: Operation, outcome: string): void => {
        const answer = `${kind}: ${outcome}`;
        seen[answer] = (seen[answer] ?? 0) + 1;
      };
      const property = fc.asyncProperty(pairingCommands(), async (commands) => {
        const driver = await PairingDriver.start(await worlds.next());
        try {
          const run = { model: emptyModel(driver.world.clock.now()), named: 0, seen: see };
          await fc.asyncModelRun(() => ({ model: run, real: driver }), commands);
          await driver.windUp();
          worlds.keep(driver.world);
        } catch (error) {
          worlds.keep(driver.world);
          await worlds.drop();
          throw error;
        }
      });
      const seed = announcedSeed('pairing model', RUNS);
      try {
        await fc.assert(property, { numRuns: RUNS, seed });
      } finally {
        await worlds.drop();
      }
      expect(Object.keys(seen)).toEqual(expect.arrayContaining(SURELY_SEEN));
    },
    timeLimit(240_000, 15),
  );
});
