import { describe, expect, it } from '@jest/globals';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { TurnQueue, type Turnable } from './turn-queue.js';

function queue(): { turns: TurnQueue; failures: unknown[]; log: string[] } {
  const failures: unknown[] = [];
  return { turns: new TurnQueue((error) => failures.push(error)), failures, log: [] };
}

function item(name: string, log: string[], turn: () => void = () => undefined): Turnable {
  return {
    turn: () => {
      log.push(`${name} turn`);
      turn();
    },
    flush: () => {
      log.push(`${name} flush`);
    },
  };
}

describe('TurnQueue', () => {
  it('gives each item one turn, however often it is marked, and then lets each send', async () => {
    const { turns, log } = queue();
    const [a, b] = [item('a', log), item('b', log)];
    turns.mark(a);
    turns.mark(b);
    turns.mark(a);
    expect(log).toEqual([]);
    await nextTurn();
    await nextTurn();
    expect(log).toEqual(['a turn', 'b turn', 'a flush', 'b flush']);
  });

  it('sends only when the promises that the turn settled have run their course', async () => {
    const { turns, log } = queue();
    const answer = async (): Promise<void> => {
      for (let step = 0; step < 20; step += 1) await Promise.resolve();
      log.push('answered');
      turns.markToFlush(a);
    };
    const a: Turnable = item('a', log, () => void answer());
    turns.mark(a);
    await nextTurn();
    await nextTurn();
    expect(log).toEqual(['a turn', 'answered', 'a flush']);
  });

  it('lets an item that only has something to send do that, without a turn', async () => {
    const { turns, log } = queue();
    turns.markToFlush(item('a', log));
    await nextTurn();
    await nextTurn();
    expect(log).toEqual(['a flush']);
  });

  it('keeps the failure of one item from the others', async () => {
    const { turns, failures, log } = queue();
    const bug = new Error('a bug');
    turns.mark(
      item('a', log, () => {
        throw bug;
      }),
    );
    turns.mark(item('b', log));
    await nextTurn();
    await nextTurn();
    expect(failures).toEqual([bug]);
    expect(log).toEqual(['a turn', 'b turn', 'a flush', 'b flush']);
  });
});
