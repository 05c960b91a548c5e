import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataKeys } from '../../src/database/data-keys.js';
import type { Store } from '../../src/database/open-store.js';
import { openStore } from '../../src/database/open-store.js';
import type { DataKeyResult } from '../../src/store/data-key-change.js';
import { DataKeyChange } from '../../src/store/data-key-change.js';
import { announcedSeed, rounds, timeLimit } from '../scale.js';
import { auditFindings } from './audit-findings.js';
import { StoreProcess } from './child-process.js';
import { temporaryDirectory } from './temporary-store.js';

/** Kills of each kind of change. */
const ROUNDS = rounds(4, 40);
/** Numbers of one round's records, so that rounds do not write the same. */
const ROUND_NUMBERS = 100_000;

describe.each(['rekeyForever', 'rekeyDataForever'] as const)('SIGKILL during %s', (op) => {
  let directory: string;
  let random: () => number;
  const acknowledged = new Set<string>();
  let changes = 0;

  beforeAll(async () => {
    directory = await temporaryDirectory();
    random = randomFrom(announcedSeed(`SIGKILL during ${op}`, ROUNDS));
  });

  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  it(
    'leaves a store that opens with the files that are there, and all that was acknowledged in it',
    async () => {
      for (let round = 0; round < ROUNDS; round += 1) {
        await changeUntilKilled(round);
        const store = await openStore({ dataDir: directory, masterKey: { kind: 'default-key-file' } });
        try {
          await expectWhole(store);
          if (round % 2 === 1) await finishDataKeyChange(store);
        } finally {
          await store.close();
        }
      }
      expect(changes).toBeGreaterThan(0);
    },
    timeLimit(120_000, 10),
  );

  async function changeUntilKilled(round: number): Promise<void> {
    const child = await StoreProcess.start();
    expect(await child.ask({ op: 'open', dataDir: directory })).toHaveProperty('storeId');
    child.tell({ op: 'writeForever', first: round * ROUND_NUMBERS, pauseMs: 25 });
    child.tell({ op });
    const answers = [];
    // A change has begun for certain once one is over; the kill falls somewhere into one of those after it.
    do answers.push(await child.next());
    while (!answers.some((answer) => 'changed' in answer));
    await new Promise((resolve) => setTimeout(resolve, random() * 60));
    answers.push(...(await child.kill()));
    for (const answer of answers) {
      expect(answer).not.toHaveProperty('refused');
      if ('written' in answer) acknowledged.add(`request/${String(answer['written'])}-second`);
      if ('changed' in answer) changes += 1;
    }
  }

  async function expectWhole(store: Store): Promise<void> {
    const findings = [];
    for await (const item of store.verifyRecords()) {
      // The records of this test are no JSON: that they open is what is asked here.
      if (item.kind === 'finding' && item.finding.reason !== 'RECORD_CORRUPT') findings.push(item.finding);
    }
    expect(findings).toEqual([]);
    const names = new Set(await store.committed.secrets.list('request/'));
    expect([...acknowledged].filter((name) => !names.has(name))).toEqual([]);
    expect(await auditFindings(store)).toEqual([]);
    const actions = await actionsOf(store);
    const action = op === 'rekeyForever' ? 'store.rekeyed' : 'store.data_rekeyed';
    expect(actions.filter((each) => each === action).length).toBeGreaterThanOrEqual(changes);
  }

  async function finishDataKeyChange(store: Store): Promise<void> {
    const { keyring, unitOfWork, committed } = store;
    const result = new Promise<DataKeyResult>((resolve, reject) => {
      const keys = new DataKeys(keyring, unitOfWork, committed, randomBytes);
      if (!keys.isChanging) {
        resolve({ resealed: 0, findings: [], finished: true });
        return;
      }
      const observer = { started: () => undefined, ended: resolve, failed: reject };
      new DataKeyChange(keys, observer).onModuleInit();
    });
    expect(await result).toMatchObject({ findings: [], finished: true });
    expect(keyring.sealer.dataKeyIds).toHaveLength(1);
    await expectWhole(store);
  }
});

async function actionsOf(store: Store): Promise<string[]> {
  const actions: string[] = [];
  for await (const item of store.auditLog.export()) if ('entry' in item) actions.push(item.entry.action);
  return actions;
}

/** Mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
