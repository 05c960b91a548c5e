import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { ClockWatch } from '../../src/time/clock-watch.js';
import { admin } from '../pairing/pairing-world.js';
import { TemporaryStore } from '../store/temporary-store.js';
import { SteppedClock } from './stepped-clock.js';

const clock = new SteppedClock();
let temporary: TemporaryStore;
beforeEach(async () => {
  clock.stepMs = 0;
  temporary = await TemporaryStore.open({ clock });
});
afterEach(async () => {
  await temporary.remove();
});

function watch(): Promise<ClockWatch> {
  const { store } = temporary;
  const { unitOfWork, committed } = store;
  return ClockWatch.start({
    clock,
    unitOfWork,
    committed,
    onCommit: (listener) => store.onCommit(listener),
    highestTimeMs: () => store.highestTimeMs(),
  });
}

it('a clock that an admin confirmed is believed by the next process, also when this one is killed', async () => {
  await (await watch()).stop();
  clock.stepMs = -10 * 60_000;
  const killed = await watch();
  expect(killed.hold()?.reason).toBe('CLOCK_BEHIND');
  await killed.confirm(admin, 'the past was wrong', undefined);
  const next = await watch();
  expect(next.hold()).toBeUndefined();
  await killed.stop();
  await next.stop();
});
