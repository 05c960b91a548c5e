/** Numbers of a seed, so that a run can be repeated; each call gives a whole number from 0 up to, not including, `below`. */
export type PseudoRandom = (below: number) => number;

/** Small and repeatable (a linear congruential generator); the count of what it drives is what matters, not its quality. */
export function pseudoRandom(seed: number): PseudoRandom {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

export function pick<T>(random: PseudoRandom, items: readonly T[]): T {
  const item = items[random(items.length)];
  if (item === undefined) throw new Error('there is nothing to pick from');
  return item;
}
