/** How a time is distributed over the samples of one run, milliseconds. */
export interface Distribution {
  readonly name: string;
  readonly samples: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  /** What the 99th percentile should be on a quiet machine; told, and no reason to fail on a busy one. */
  readonly aimOfP99?: number;
  /** All samples, in the order in which they were taken. */
  readonly values: readonly number[];
}

export function distributionOf(name: string, values: readonly number[], aimOfP99?: number): Distribution {
  const sorted = [...values].sort((one, other) => one - other);
  return {
    name,
    samples: values.length,
    p50: percentile(sorted, 50),
    p90: percentile(sorted, 90),
    p99: percentile(sorted, 99),
    max: percentile(sorted, 100),
    ...(aimOfP99 === undefined ? {} : { aimOfP99 }),
    values,
  };
}

/** The smallest value that `percent` of all are not above (nearest rank); NaN of none. */
function percentile(sorted: readonly number[], percent: number): number {
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length));
  return sorted[rank - 1] ?? Number.NaN;
}
