import type { StoreTime } from '../database/unit-of-work.js';

/** What it means that a store answered with an earlier time than before, and with which. */
export function fallText(known: StoreTime, seen: StoreTime): string {
  return (
    'the store of the service is older than before: somebody put an old copy back, and later decisions ' +
    `(revocations too) are undone; it was at ${timeText(known)} and is at ${timeText(seen)}`
  );
}

const timeText = ({ epoch, sequence }: StoreTime): string => `epoch ${epoch}, sequence ${sequence}`;
