/** `1 entry`, `2 entries`, `0 entries`. */
export const counted = (count: number | bigint, one: string, many = `${one}s`): string =>
  `${String(count)} ${Number(count) === 1 ? one : many}`;
