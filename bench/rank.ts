/** What two samples of times tell of each other. */
export interface RankComparison {
  /**
   * How often a value of `others` is above one of `base` (ties count half): the Mann–Whitney U divided by the number of
   * pairs, also called AUC. 0.5 when nothing can be told from the times.
   */
  readonly auc: number;
  /** How many standard deviations that is from 0.5, if both samples came from the same source. */
  readonly z: number;
}

/** Mann–Whitney U test with the normal approximation; for samples of more than 20. */
export function compareRanks(base: readonly number[], others: readonly number[]): RankComparison {
  const [n, m] = [base.length, others.length];
  const all = [...base.map((value) => ({ value, own: 0 })), ...others.map((value) => ({ value, own: 1 }))];
  all.sort((one, other) => one.value - other.value);
  let rankSum = 0;
  let tieTerm = 0;
  for (let start = 0; start < all.length;) {
    let end = start;
    while (end < all.length && all[end]?.value === all[start]?.value) end += 1;
    const size = end - start;
    // Equal values share the mean of their ranks, which count from 1.
    const rank = (start + 1 + end) / 2;
    for (const { own } of all.slice(start, end)) rankSum += own * rank;
    tieTerm += size ** 3 - size;
    start = end;
  }
  const u = rankSum - (m * (m + 1)) / 2;
  const total = n + m;
  const variance = ((n * m) / 12) * (total + 1 - tieTerm / (total * (total - 1)));
  return { auc: u / (n * m), z: variance === 0 ? 0 : (u - (n * m) / 2) / Math.sqrt(variance) };
}
