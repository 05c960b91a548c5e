import { AuditEntryRow } from '../audit/audit.entity.js';
import { ROOT_RECORD_PREFIX } from '../ca/root-record.js';
import type { CommittedReader } from '../database/unit-of-work.js';
import { deviceRecordName } from '../identity/identity-record.js';
import { BUNDLE_ACTIONS, DEVICE_ACTIONS, deviceEvent, type DeviceEvent } from './device-event.js';

/** More new entries at once than are looked at one by one. */
const MANY = 500;
/** The character behind the slash that ends the prefix. */
const BEHIND_ROOTS = ROOT_RECORD_PREFIX.replace(/\/$/, '0');

export interface Range {
  readonly after: number;
  readonly upTo: number;
}

/** Whom new entries are of interest to. */
export interface Concerned {
  /** Whether they changed the bundle, or are too many to look at. */
  readonly everybody: boolean;
  readonly deviceIds: ReadonlySet<string>;
}

/**
 * The events of devices, read out of the audit log: each decision writes its entry in its own unit of work, so an event is
 * there exactly when its decision is, and a rotation costs the same with any number of devices.
 */
export class DeviceEventLog {
  constructor(private readonly committed: CommittedReader) {}

  /** The device's events behind `after` and up to `upTo`, ascending, at most `limit`. */
  async events(deviceId: string, { after, upTo }: Range, limit: number): Promise<DeviceEvent[]> {
    const own = await this.committed.tables
      .createQueryBuilder(AuditEntryRow, 'entry')
      .where('entry.subject = :subject', { subject: deviceRecordName(deviceId) })
      .andWhere('entry.sequence > :after AND entry.sequence <= :upTo', { after, upTo })
      .andWhere('entry.action IN (:...actions)', { actions: Object.keys(DEVICE_ACTIONS) })
      .orderBy('entry.sequence', 'ASC')
      .limit(limit)
      .getMany();
    const bundle = (await this.#bundleEntries()).filter(
      ({ sequence }) => sequence > after && sequence <= upTo,
    );
    return [...own, ...bundle]
      .sort((one, other) => one.sequence - other.sequence)
      .slice(0, limit)
      .flatMap((entry) => deviceEvent(entry) ?? []);
  }

  /** Whom the entries in `range` concern. */
  async concerned({ after, upTo }: Range): Promise<Concerned> {
    const rows = await this.committed.tables
      .createQueryBuilder(AuditEntryRow, 'entry')
      .select(['entry.sequence', 'entry.action', 'entry.subject'])
      .where('entry.sequence > :after AND entry.sequence <= :upTo', { after, upTo })
      .orderBy('entry.sequence', 'ASC')
      .limit(MANY)
      .getMany();
    const told = rows.filter(({ action }) => Object.hasOwn(DEVICE_ACTIONS, action));
    return {
      everybody: rows.length === MANY || rows.some(({ action }) => BUNDLE_ACTIONS.includes(action)),
      deviceIds: new Set(told.map(({ subject }) => subject.slice(deviceRecordName('').length))),
    };
  }

  /** Number of the oldest entry in the database; older ones are in segment files. */
  async oldest(): Promise<number> {
    const row = await this.committed.tables
      .createQueryBuilder(AuditEntryRow, 'entry')
      .select('entry.sequence')
      .orderBy('entry.sequence', 'ASC')
      .limit(1)
      .getOne();
    return row?.sequence ?? 1;
  }

  /** There are a few in the life of a cluster. Without a condition on the sequence, by which SQLite would walk the whole log. */
  #bundleEntries(): Promise<AuditEntryRow[]> {
    return this.committed.tables
      .createQueryBuilder(AuditEntryRow, 'entry')
      .where('entry.subject >= :first AND entry.subject < :behind', {
        first: ROOT_RECORD_PREFIX,
        behind: BEHIND_ROOTS,
      })
      .andWhere('entry.action IN (:...actions)', { actions: BUNDLE_ACTIONS })
      .getMany();
  }
}
