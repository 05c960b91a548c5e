import type { PairingEvent, PairingObserver } from '../../client/device/pairing-event.js';
import { fallText } from '../store-time-text.js';
import type { Output } from '../terminal/output.js';
import { timeText } from '../terminal/time-text.js';

/** Shows a pairing: lines for people, one object with `event` a line for scripts. `now` is in Unix milliseconds. */
export function pairingReporter(output: Output, now: () => number): PairingObserver {
  let warned = false;
  return (event) => {
    if (event.event === 'store_time_fell') {
      if (!warned) output.warning('STORE_TIME_FELL', fallText(event.known, event.seen));
      warned = true;
      return;
    }
    output.object(eventObject(event));
    for (const line of eventLines(event, now())) output.line(line);
  };
}

/** What is no warning. */
type ShownEvent = Exclude<PairingEvent, { readonly event: 'store_time_fell' }>;

/** Times as in proto JSON; absent ones left out. */
function eventObject(event: ShownEvent): object {
  if (!('expiresAt' in event)) return event;
  const { expiresAt, ...rest } = event;
  return expiresAt === undefined ? rest : { ...rest, expireTime: new Date(expiresAt).toISOString() };
}

function eventLines(event: ShownEvent, now: number): string[] {
  switch (event.event) {
    case 'resumed':
      return ['an earlier pairing was not finished: going on with it, no code is used'];
    case 'dropped':
      return [
        `the earlier pairing came to nothing (${event.why.replace('_', ' ')}): begin again with a new code`,
      ];
    case 'server':
      return [`server       ${event.endpoint}`, `cluster      ${event.trustDomain}`];
    case 'device':
      return [
        `device       ${event.deviceId}`,
        `words        ${event.words.join(' ')}`,
        `fingerprint  ${event.fingerprint}`,
      ];
    case 'waiting_for_approval':
      return [`waiting for approval of request ${event.requestId}; the operator must see the same words`];
    case 'disconnected':
      return [`the server went away (${event.message}): trying again`];
    case 'certificate':
      return [
        `certificate  ${event.fingerprint}`,
        `expires      ${timeText(new Date(event.expiresAt), now)}`,
      ];
  }
}
