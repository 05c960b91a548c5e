const UNITS = [
  { name: 'd', milliseconds: 86_400_000 },
  { name: 'h', milliseconds: 3_600_000 },
  { name: 'min', milliseconds: 60_000 },
  { name: 's', milliseconds: 1_000 },
] as const;

/** `2026-11-23 16:19:35 UTC (in 10 min)`; `-` for an absent time. */
export function timeText(time: Date | undefined, now: number): string {
  if (time === undefined) return '-';
  const stamp = time.toISOString().slice(0, 19).replace('T', ' ');
  return `${stamp} UTC (${relativeText(time, now)})`;
}

/** `in 10 min`, `3 h ago`; `-` for an absent time. */
export function relativeText(time: Date | undefined, now: number): string {
  if (time === undefined) return '-';
  const difference = time.getTime() - now;
  const distance = durationText(Math.abs(difference));
  return difference >= 0 ? `in ${distance}` : `${distance} ago`;
}

/** In the largest unit of which there are at least two, or the smallest: `10 min`, `36 h`, `0 s`. */
function durationText(milliseconds: number): string {
  const unit = UNITS.find((candidate) => milliseconds >= 2 * candidate.milliseconds) ?? UNITS[3];
  return `${Math.round(milliseconds / unit.milliseconds)} ${unit.name}`;
}
