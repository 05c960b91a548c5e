import type { EntityManager } from 'typeorm';
import type { CommittedReader, UnitOfWork } from '../database/unit-of-work.js';
import type { DeviceConnections } from '../quic/device-connections.js';
import type { QuicEvent, QuicObserver } from '../quic/quic-observer.js';
import type { Clock } from '../time/clock.js';
import { DevicePresenceRow } from './presence.entity.js';
import { nextRegistration, type Claims, type Registration } from './registration.js';

export interface PresenceParts {
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
  readonly clock: Clock;
  /** Who is connected. */
  readonly connections: Pick<DeviceConnections, 'connectedDevices'>;
  /** How often it is written down who is there, milliseconds. */
  readonly intervalMs: number;
  /** It could not be written; it is tried again at the next interval. */
  readonly onFailure: (error: unknown) => void;
}

export interface DevicePresence {
  /** Unix milliseconds; of a device that is connected at most an interval ago. */
  readonly lastSeenAt: number | undefined;
  readonly registration: Registration | undefined;
}

/** Rows of one unit of work, so that decisions do not wait long behind them. */
const CHUNK = 200;

/**
 * When devices were there last. Who is online is read from the list of connections and never stored, so no late word of
 * an old connection can contradict a newer one. What is stored is written for all at once, once an interval: heartbeats
 * cost no commit.
 */
export class Presence implements QuicObserver {
  /** Devices that have gone since the last writing, and when. */
  readonly #gone = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(private readonly parts: PresenceParts) {}

  start(): void {
    this.#timer = setInterval(() => {
      void this.write();
    }, this.parts.intervalMs);
    this.#timer.unref();
  }

  /** Writes a last time; to be called when the connections have ended and the store is still open. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.write();
  }

  observe(event: QuicEvent): void {
    if (event.event !== 'closed' || !event.wasAdmitted || event.deviceId === undefined) return;
    this.#gone.set(event.deviceId, this.parts.clock.now());
  }

  /** Writes down who is there and who has gone; never rejects. */
  write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write()).catch(this.parts.onFailure);
    return this.#writing;
  }

  /** What is known of each of the devices. */
  async of(deviceIds: readonly string[]): Promise<ReadonlyMap<string, DevicePresence>> {
    const rows = deviceIds.length === 0 ? [] : await this.#rows(deviceIds);
    const byId = new Map(rows.map((row) => [row.deviceId, row]));
    return new Map(deviceIds.map((deviceId) => [deviceId, this.#presenceOf(deviceId, byId.get(deviceId))]));
  }

  /** Records what a device says of itself, if it is something new. Throws `exhausted` TOO_MANY_REGISTRATIONS. */
  async register(deviceId: string, claims: Claims): Promise<Registration> {
    const { committed, unitOfWork, clock } = this.parts;
    const known = registrationOf(await rowOf(committed.tables, deviceId));
    if (known !== undefined && nextRegistration(known, claims, clock.now()) === undefined) return known;
    return unitOfWork.run(async ({ tables }) => {
      const row = await rowOf(tables, deviceId);
      const before = registrationOf(row);
      const next = nextRegistration(before, claims, clock.now());
      if (next === undefined) return before ?? { ...claims, registeredAt: clock.now() };
      const { registeredAt, platform, capabilities } = next;
      const claimed = {
        registeredAt,
        claimedPlatform: platform,
        capabilities: JSON.stringify(capabilities),
      };
      if (row === null) await tables.insert(DevicePresenceRow, { deviceId, lastSeenAt: null, ...claimed });
      else await tables.update(DevicePresenceRow, { deviceId }, claimed);
      return next;
    });
  }

  #rows(deviceIds: readonly string[]): Promise<DevicePresenceRow[]> {
    return this.parts.committed.tables
      .createQueryBuilder(DevicePresenceRow, 'presence')
      .where('presence.deviceId IN (:...deviceIds)', { deviceIds })
      .getMany();
  }

  #presenceOf(deviceId: string, row: DevicePresenceRow | undefined): DevicePresence {
    return {
      lastSeenAt: this.#gone.get(deviceId) ?? row?.lastSeenAt ?? undefined,
      registration: registrationOf(row ?? null),
    };
  }

  async #write(): Promise<void> {
    const now = this.parts.clock.now();
    const gone = [...this.#gone];
    const seen = new Map([
      ...gone,
      ...this.parts.connections.connectedDevices.map((id) => [id, now] as const),
    ]);
    const rows = [...seen].map(([deviceId, lastSeenAt]) => ({ deviceId, lastSeenAt }));
    for (let first = 0; first < rows.length; first += CHUNK) {
      const chunk = rows.slice(first, first + CHUNK);
      await this.parts.unitOfWork.run(({ tables }) => tables.upsert(DevicePresenceRow, chunk, ['deviceId']));
    }
    for (const [deviceId, at] of gone) if (this.#gone.get(deviceId) === at) this.#gone.delete(deviceId);
  }
}

const rowOf = (tables: EntityManager, deviceId: string): Promise<DevicePresenceRow | null> =>
  tables.findOneBy(DevicePresenceRow, { deviceId });

function registrationOf(row: DevicePresenceRow | null): Registration | undefined {
  if (row === null || row.registeredAt === null) return undefined;
  return {
    registeredAt: row.registeredAt,
    platform: row.claimedPlatform ?? '',
    capabilities: JSON.parse(row.capabilities ?? '[]') as string[],
  };
}
