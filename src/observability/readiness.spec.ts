import { describe, expect, it } from '@jest/globals';
import { DomainError } from '../errors/domain-error.js';
import { Readiness } from './readiness.js';

describe('Readiness', () => {
  it('is not there before there is anything to check', async () => {
    expect((await new Readiness().report()).ready).toBe(false);
  });

  it('names the check that fails, and shows nothing of why', async () => {
    const observed: [string, boolean][] = [];
    const readiness = new Readiness((check, passed) => observed.push([check, passed]));
    readiness.add('store', () => Promise.reject(new Error('hunter2')));
    readiness.add('quic', () => undefined);
    readiness.add('certificates', () => {
      throw new Error('hunter2');
    });
    expect(await readiness.report()).toEqual({
      ready: false,
      checks: { store: 'failed', quic: 'ok', certificates: 'failed', serving: 'ok' },
    });
    expect(observed).toContainEqual(['store', false]);
  });

  it('names the reason where there is a word for it', async () => {
    const readiness = new Readiness();
    readiness.add('store', () => Promise.reject(new DomainError('unavailable', 'STORE_FULL', 'hunter2')));
    readiness.add('quic', () => undefined);
    expect(await readiness.report()).toEqual({
      ready: false,
      checks: { store: 'failed', quic: 'ok', serving: 'ok' },
      reasons: { store: 'STORE_FULL' },
    });
  });

  it('ends when the process drains', async () => {
    const readiness = new Readiness();
    readiness.add('store', () => undefined);
    expect((await readiness.report()).ready).toBe(true);
    readiness.drain();
    expect(await readiness.report()).toEqual({ ready: false, checks: { store: 'ok', serving: 'failed' } });
  });

  it('runs its checks once for all who ask at the same time', async () => {
    let runs = 0;
    const readiness = new Readiness();
    readiness.add('store', () => (runs += 1));
    await Promise.all([readiness.report(), readiness.report(), readiness.report()]);
    expect(runs).toBe(1);
    await readiness.report();
    expect(runs).toBe(2);
  });
});
