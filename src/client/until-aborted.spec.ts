import { describe, expect, it } from '@jest/globals';
import { ClientError } from './client-error.js';
import { untilAborted } from './until-aborted.js';

describe('work until a signal aborts', () => {
  const passed = new ClientError('timeout', 'TIMEOUT', '1s have passed');

  it('is what the work comes to', async () => {
    const { signal } = new AbortController();
    await expect(untilAborted(Promise.resolve(7), signal)).resolves.toBe(7);
    await expect(untilAborted(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
  });

  it('ends with what the signal says, and hands over what comes too late', async () => {
    const controller = new AbortController();
    const late: number[] = [];
    let finish: (value: number) => void = () => undefined;
    const work = new Promise<number>((resolve) => {
      finish = resolve;
    });
    const outcome = untilAborted(work, controller.signal, (value) => late.push(value));
    controller.abort(passed);
    await expect(outcome).rejects.toBe(passed);
    finish(7);
    await work;
    expect(late).toEqual([7]);
  });

  it('does not wait for anything when the signal has aborted already', async () => {
    const never = new Promise<number>(() => undefined);
    await expect(untilAborted(never, AbortSignal.abort(passed))).rejects.toBe(passed);
  });
});
