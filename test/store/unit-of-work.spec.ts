import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { InMemoryUnitOfWork } from '../../src/database/in-memory-unit-of-work.js';
import { SecretRow } from '../../src/secret-store/secret.entity.js';
import type { Unit } from '../../src/database/unit-of-work.js';
import { ManualClock } from '../../src/time/clock.js';
import { auditFindings } from './audit-findings.js';
import { TemporaryStore } from './temporary-store.js';

const LIMIT_MS = 150;

/** A unit that leaves two records and one audit entry. */
const writing =
  (number: number, size = 10) =>
  async ({ secrets, audit }: Unit): Promise<number> => {
    await secrets.write(`request/${number}`, Buffer.alloc(size, number));
    audit.append({ actor: 'system', source: 'local', action: 'test.written', subject: `n/${number}` });
    await secrets.write(`operator/${number}`, Buffer.alloc(size, number));
    return number;
  };

const failing =
  (number: number) =>
  async (unit: Unit): Promise<never> => {
    await writing(number)(unit);
    throw new Error(`unit ${number} failed`);
  };

describe('SqliteUnitOfWork', () => {
  let temporary: TemporaryStore;
  const run = <T>(work: (unit: Unit) => Promise<T>): Promise<T> => temporary.store.unitOfWork.run(work);
  const numbersOf = async (prefix: string): Promise<number[]> => {
    const names = await temporary.store.committed.secrets.list(prefix);
    return names.map((name) => Number(name.slice(prefix.length))).sort((one, other) => one - other);
  };
  const subjects = async (): Promise<string[]> => {
    const entries = await temporary.store.auditLog.entries({ after: 1, limit: 1_000 });
    return entries.map(({ subject }) => subject);
  };

  beforeEach(async () => {
    temporary = await TemporaryStore.open({ unitTimeLimitMs: LIMIT_MS });
  });

  afterEach(async () => {
    await temporary.remove();
  });

  it('commits each of 100 concurrent units or undoes it, and chains the audit entries of the former', async () => {
    const numbers = Array.from({ length: 100 }, (_none, number) => number);
    const works = numbers.map((number) => (number % 7 === 0 ? failing(number) : writing(number)));
    const outcomes = await Promise.allSettled(works.map((work) => run(work)));
    const kept = numbers.filter((number) => number % 7 !== 0);

    for (const [number, outcome] of outcomes.entries()) {
      if (number % 7 !== 0) expect(outcome).toEqual({ status: 'fulfilled', value: number });
      else
        expect(outcome).toMatchObject({ status: 'rejected', reason: { message: `unit ${number} failed` } });
    }
    await temporary.reopen();
    expect(await numbersOf('request/')).toEqual(kept);
    expect(await numbersOf('operator/')).toEqual(kept);
    expect(await subjects()).toEqual(kept.map((number) => `n/${number}`));
    expect(temporary.store.storeTime().sequence).toBe(1 + kept.length);
    expect(await auditFindings(temporary.store)).toEqual([]);
  });

  it('loses nothing acknowledged and stores nothing refused when the store runs full', async () => {
    await run(async ({ tables }) => {
      const [{ page_count: pages }] = await tables.query<[{ page_count: number }]>('PRAGMA page_count');
      await tables.query(`PRAGMA max_page_count = ${pages + 60}`);
    });
    const numbers = Array.from({ length: 100 }, (_none, number) => number);
    const works = numbers.map((number) => (number % 7 === 0 ? failing(number) : writing(number, 3_000)));
    const outcomes = await Promise.allSettled(works.map((work) => run(work)));

    const acknowledged = numbers.filter((number) => outcomes[number]!.status === 'fulfilled');
    const full = outcomes.filter(
      (outcome) => outcome.status === 'rejected' && reasonOf(outcome) === 'STORE_FULL',
    );
    expect(full.length).toBeGreaterThan(0);
    // Those that were undone with the one that found it full are told the same.
    expect(full[0]).toMatchObject({
      reason: { kind: 'unavailable', message: expect.stringContaining('free space') },
    });
    await temporary.reopen();
    expect(await numbersOf('request/')).toEqual(acknowledged);
    expect(await numbersOf('operator/')).toEqual(acknowledged);
    expect(await subjects()).toEqual(acknowledged.map((number) => `n/${number}`));
    expect(await auditFindings(temporary.store)).toEqual([]);
    await expect(run(writing(1_000))).resolves.toBe(1_000);
  });

  it('refuses the whole batch when one unit runs the store full, though it hides the error and goes on writing', async () => {
    await run(({ tables }) => tables.query('PRAGMA max_page_count = 80'));
    const before = run(writing(1));
    const greedy = run(async (unit) => {
      await unit.secrets.write('cluster', Buffer.alloc(400_000)).catch(() => undefined);
      await writing(2)(unit).catch(() => undefined);
    });
    const [first, second] = await Promise.allSettled([before, greedy]);
    const third = await Promise.allSettled([run(writing(3))]);
    await temporary.reopen();
    const stored = await numbersOf('request/');
    const acknowledged = [first, second, third[0]].flatMap(({ status }, index) =>
      status === 'fulfilled' ? index + 1 : [],
    );
    expect(stored).toEqual(acknowledged);
    expect(acknowledged).toContain(3);
    expect(await auditFindings(temporary.store)).toEqual([]);
  });

  it('refuses a batch whose transaction is gone, and goes on with the units that had not begun', async () => {
    const rolledBack = async ({ tables }: Unit): Promise<void> => {
      // A constraint with ROLLBACK as its answer does to the transaction what SQLITE_FULL may do.
      await tables.query(`INSERT OR ROLLBACK INTO "store" SELECT * FROM "store"`);
    };
    const outcomes = await Promise.allSettled([run(writing(1)), run(rolledBack), run(writing(3))]);
    expect(outcomes).toMatchObject([
      { status: 'rejected', reason: { kind: 'unavailable', reason: 'STORE_ROLLED_BACK' } },
      { status: 'rejected', reason: { kind: 'unavailable', reason: 'STORE_ROLLED_BACK' } },
      { status: 'fulfilled', value: 3 },
    ]);
    expect(await numbersOf('request/')).toEqual([3]);
    expect(await subjects()).toEqual(['n/3']);
    expect(await auditFindings(temporary.store)).toEqual([]);
  });

  it('stores nothing of a unit that hides the loss of the transaction and goes on writing', async () => {
    const stubborn = run(async (unit) => {
      await unit.tables.query(`INSERT OR ROLLBACK INTO "store" SELECT * FROM "store"`).catch(() => undefined);
      await unit.secrets.write('cluster', Buffer.from('x')).catch(() => undefined);
      await unit.tables.query(`DELETE FROM "secret"`).catch(() => undefined);
    });
    await expect(stubborn).rejects.toMatchObject({ reason: 'STORE_ROLLED_BACK' });
    expect(await temporary.store.committed.secrets.list('')).toEqual(['audit-key', 'check']);
  });

  it('finds out a run inside a run, undoes it and goes on', async () => {
    const nested = run(async (unit) => {
      await writing(1)(unit);
      await run(writing(2));
    });
    const behind = run(writing(3));
    await expect(nested).rejects.toMatchObject({
      kind: 'internal',
      reason: 'UNIT_TIMED_OUT',
      message: expect.stringContaining('no other unit of work'),
    });
    await expect(behind).resolves.toBe(3);
    expect(await numbersOf('request/')).not.toContain(1);
    expect(await auditFindings(temporary.store)).toEqual([]);
  });

  it('refuses whatever a unit does after its end', async () => {
    const { tables } = await run((unit) => Promise.resolve(unit));
    const repository = tables.getRepository(SecretRow);
    const ended = expect.objectContaining({ reason: 'UNIT_ENDED' });
    await expect(tables.query('SELECT 1')).rejects.toEqual(ended);
    await expect(repository.find()).rejects.toEqual(ended);
    await expect(repository.createQueryBuilder().delete().execute()).rejects.toEqual(ended);
    await expect(repository.save({ name: 'cluster', record: Buffer.alloc(1) })).rejects.toEqual(ended);
    await expect(tables.transaction((inner) => inner.find(SecretRow))).rejects.toEqual(ended);
  });

  it('undoes a unit that returns before its operations have', async () => {
    const hasty = run((unit) => {
      void unit.secrets.write('cluster', Buffer.from('x')).catch(() => undefined);
      return Promise.resolve();
    });
    await expect(hasty).rejects.toMatchObject({ reason: 'UNIT_UNFINISHED' });
    expect(await temporary.store.committed.secrets.read('cluster')).toBeUndefined();
  });

  it('does not let a unit end the transaction that it shares', async () => {
    for (const sql of ['COMMIT', ' rollback', 'BEGIN IMMEDIATE', 'END TRANSACTION']) {
      const ending = run(({ tables }) => tables.query(sql));
      await expect(ending).rejects.toMatchObject({ reason: 'TRANSACTION_CONTROL' });
    }
    const byRunner = run(({ tables }) => tables.queryRunner!.rollbackTransaction());
    await expect(byRunner).rejects.toMatchObject({ reason: 'TRANSACTION_CONTROL' });
    await expect(run(writing(1))).resolves.toBe(1);
  });

  it('lets a unit undo a part of itself', async () => {
    await run(async ({ tables, secrets }) => {
      await secrets.write('cluster', Buffer.from('kept'));
      const part = tables.transaction(async (inner) => {
        await inner.delete(SecretRow, { name: 'cluster' });
        throw new Error('not this');
      });
      await expect(part).rejects.toThrow('not this');
    });
    expect((await temporary.store.committed.secrets.read('cluster'))?.toString()).toBe('kept');
  });

  it('leaves no entry and no gap behind a unit that fails when it appends', async () => {
    const invalid = run(async (unit) => {
      await writing(1)(unit);
      unit.audit.append({ actor: 'system', source: 'local', action: 'test.bad', subject: '\ud800' });
    });
    await expect(invalid).rejects.toMatchObject({ reason: 'AUDIT_TEXT_INVALID' });
    await run(writing(2));
    expect(await subjects()).toEqual(['n/2']);
    expect(temporary.store.storeTime().sequence).toBe(2);
  });

  it('takes the chain back when a unit fails while its entries are chained', async () => {
    const clock = new ManualClock(1_780_000_000_123);
    await temporary.reopen({ clock });
    const readings = [clock.now(), Number.NaN];
    clock.now = () => readings.shift() ?? 1_780_000_000_124;
    const twoEntries = run(async (unit) => {
      await writing(1)(unit);
      await writing(2)(unit);
    });
    await expect(twoEntries).rejects.toMatchObject({ name: 'CanonicalEncodingError' });
    await run(writing(3));
    expect(await subjects()).toEqual(['n/3']);
    expect(await auditFindings(temporary.store)).toEqual([]);
  });

  it('tells of commits that added to the change log, after they are readable', async () => {
    const seen: [sequence: number, committed: Promise<string[]>][] = [];
    const end = temporary.store.onCommit((sequence) => {
      seen.push([sequence, temporary.store.committed.secrets.list('request/')]);
    });
    await Promise.all([run(writing(1)), run(writing(2))]);
    await run((unit) => unit.secrets.write('cluster', Buffer.alloc(1)));
    await expect(run(failing(3))).rejects.toThrow();
    await run(writing(4));
    end();
    await run(writing(5));
    expect(seen.map(([sequence]) => sequence)).toEqual([3, 4]);
    expect(await seen[0]![1]).toEqual(['request/1', 'request/2']);
    expect(temporary.store.storeTime()).toEqual({ epoch: expect.any(Number), sequence: 5 });
  });

  it('ends the units that wait when it is closed, and refuses those that come later', async () => {
    const waiting = [run(writing(1)), run(writing(2))];
    const closed = temporary.store.close();
    await expect(run(writing(3))).rejects.toMatchObject({ kind: 'unavailable', reason: 'STORE_CLOSED' });
    expect(await Promise.all(waiting)).toEqual([1, 2]);
    await closed;
    await temporary.reopen();
    expect(await numbersOf('request/')).toEqual([1, 2]);
  });
});

describe('InMemoryUnitOfWork', () => {
  it('finds out a run inside a run', async () => {
    const unitOfWork = new InMemoryUnitOfWork(undefined, LIMIT_MS);
    const nested = unitOfWork.run(() => unitOfWork.run(() => Promise.resolve()));
    await expect(nested).rejects.toMatchObject({ reason: 'UNIT_TIMED_OUT' });
    await expect(unitOfWork.run(writing(1))).resolves.toBe(1);
  });

  it('chains audit entries without gaps, and says that it has no tables', async () => {
    const unitOfWork = new InMemoryUnitOfWork();
    const outcomes = await Promise.allSettled(
      [1, 2, 3].map((n) => unitOfWork.run(n === 2 ? failing(n) : writing(n))),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(unitOfWork.entries().map(({ sequence, subject }) => [sequence, subject])).toEqual([
      [1, 'n/1'],
      [2, 'n/3'],
    ]);
    expect(unitOfWork.entries()[1]!.previous).toEqual(unitOfWork.entries()[0]!.hash);
    expect(unitOfWork.storeTime().sequence).toBe(2);
    await expect(unitOfWork.run((unit) => unit.tables.query('SELECT 1'))).rejects.toThrow('has no tables');
  });
});

function reasonOf(outcome: PromiseRejectedResult): unknown {
  return (outcome.reason as { reason?: unknown }).reason;
}
