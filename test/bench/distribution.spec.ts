import { describe, expect, it } from '@jest/globals';
import { distributionOf } from '../../bench/distribution.js';

describe('a distribution', () => {
  it('tells percentiles by the nearest rank, whatever the order of the samples', () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(distributionOf('times', values, 10)).toEqual({
      name: 'times',
      samples: 200,
      p50: 100,
      p90: 180,
      p99: 198,
      max: 200,
      aimOfP99: 10,
      values,
    });
  });

  it('of one sample is that sample', () => {
    expect(distributionOf('once', [7])).toMatchObject({ samples: 1, p50: 7, p90: 7, p99: 7, max: 7 });
  });
});
