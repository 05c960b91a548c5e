import type { AuditEntry } from '../audit/audit-entry.js';

/** What `node.stream_events` tells (docs/protocol.md, "Events"). */
export type DeviceEventType =
  | 'certificate_issued'
  | 'certificate_renewed'
  | 'bundle_changed'
  | 'copy_seen'
  | 'suspended'
  | 'cleared'
  | 'revocation_announced'
  | 'events_lost';

/** One event of a device. The sequence is that of the audit entry of the decision, so it rises and has gaps. */
export interface DeviceEvent {
  readonly sequence: number;
  readonly type: DeviceEventType;
  /** Unix milliseconds. */
  readonly timeMs: number;
  /** What else there is to say; never an operator's name or words. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** Audit actions about one device that it is told of. */
export const DEVICE_ACTIONS: Readonly<Record<string, DeviceEventType>> = {
  'pairing.approved': 'certificate_issued',
  'device.renewed': 'certificate_renewed',
  'device.conflict': 'copy_seen',
  'device.suspended': 'suspended',
  'device.cleared': 'cleared',
  'device.revoked': 'revocation_announced',
};

/** Audit actions that change the bundle, which every device is told of. */
export const BUNDLE_ACTIONS: readonly string[] = [
  'ca.prepared',
  'ca.activated',
  'ca.retired',
  'ca.compromised',
];

/** An entry as a device is told it; `undefined` when it is no device's business. Whose it is, its subject says. */
export function deviceEvent(entry: AuditEntry): DeviceEvent | undefined {
  const { sequence, timeMs, action } = entry;
  if (BUNDLE_ACTIONS.includes(action)) {
    return { sequence, timeMs, type: 'bundle_changed', details: { step: action.slice('ca.'.length) } };
  }
  const type = DEVICE_ACTIONS[action];
  if (type === undefined) return undefined;
  return { sequence, timeMs, type, details: certificateOf(entry.details) };
}

/** In place of events that have left the database: those behind `after`, up to and with `upTo`. */
export function eventsLost(after: number, upTo: number, timeMs: number): DeviceEvent {
  return { sequence: upTo, timeMs, type: 'events_lost', details: { first: after + 1, last: upTo } };
}

/** Only what names a certificate of the device: an entry may say more to those who audit. */
function certificateOf(details: string): Record<string, unknown> {
  const { certificate } = JSON.parse(details) as { readonly certificate?: unknown };
  return typeof certificate === 'string' ? { certificate } : {};
}
