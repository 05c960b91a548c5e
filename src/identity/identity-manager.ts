import type { EntityManager } from 'typeorm';
import { markRevoked } from '../ca/certificate-index.js';
import type { CommittedReader, Unit, UnitOfWork } from '../database/unit-of-work.js';
import { notFound } from '../errors/domain-error.js';
import type { OperatorCaller } from '../operators/caller.js';
import { actorOf } from '../operators/caller.js';
import { DevicePresenceRow } from '../presence/presence.entity.js';
import type { NodeConnections } from '../quic/node-connections.js';
import type { Clock } from '../time/clock.js';
import { parseDeviceId } from './device-id.js';
import type { DeviceIdentity } from './device-identity.js';
import { type DeviceFields, DeviceRow, type DeviceRowState } from './device.entity.js';
import { certificatesOf, readIdentity, writeIdentity } from './enrolment.js';
import { identityFingerprint } from './fingerprint.js';
import {
  decodeTombstone,
  deviceRecordName,
  deviceTombstoneName,
  encodeTombstone,
  keyTombstoneName,
} from './identity-record.js';

export interface IdentityManagerParts {
  readonly unitOfWork: UnitOfWork;
  readonly committed: CommittedReader;
  readonly clock: Clock;
  readonly connections: NodeConnections;
  /** Tells whoever listens on a connection of the device, before it is closed. */
  readonly announceRevocation: (deviceId: string) => void;
}

/** A device as operators see it: the row, completed by the sealed record. */
export interface RegisteredDevice {
  readonly row: DeviceFields;
  readonly openConnections: number;
}

export interface Revocation {
  readonly device: RegisteredDevice;
  readonly closedConnections: number;
}

export interface DevicePage {
  readonly devices: readonly RegisteredDevice[];
  /** Id of the last device of this page when there are more. */
  readonly next: string | undefined;
}

/** The registry of devices: who may come in, and who no longer may. */
export class IdentityManager {
  constructor(private readonly parts: IdentityManagerParts) {}

  /** The device's identity as it is committed now; never from a cache (DESIGN §6). */
  read(deviceId: string): Promise<DeviceIdentity | undefined> {
    return readIdentity(this.parts.committed.secrets, deviceId);
  }

  /** Throws `not_found`. */
  async get(deviceId: string): Promise<RegisteredDevice> {
    return this.registered(await rowOf(this.parts.committed.tables, parseDeviceId(deviceId)));
  }

  /** Devices by id, after `after` (exclusive). */
  async list(options: { state?: DeviceRowState; after?: string; limit: number }): Promise<DevicePage> {
    const query = this.parts.committed.tables
      .createQueryBuilder(DeviceRow, 'device')
      .orderBy('device.deviceId', 'ASC')
      .limit(options.limit + 1);
    if (options.after !== undefined) query.andWhere('device.deviceId > :after', { after: options.after });
    if (options.state !== undefined) query.andWhere('device.state = :state', { state: options.state });
    const rows = await query.getMany();
    const page = rows.slice(0, options.limit);
    return {
      devices: page.map((row) => this.registered(row)),
      next: rows.length > options.limit ? page.at(-1)?.deviceId : undefined,
    };
  }

  /**
   * Deletes the identity and leaves tombstones for its id and key. The commit comes before the connections are walked,
   * and a connection stands in its device's list before its identity is read, so one of the two sees the other.
   * Revoking a revoked device answers the same and writes nothing.
   */
  async revoke(caller: OperatorCaller, rawDeviceId: string, reason: string): Promise<Revocation> {
    const deviceId = parseDeviceId(rawDeviceId);
    const row = await this.parts.unitOfWork.run((unit) => this.revokeInUnit(unit, caller, deviceId, reason));
    this.parts.announceRevocation(deviceId);
    const closedConnections = this.parts.connections.closeDevice(deviceId, 'revoked');
    return { device: this.registered(row), closedConnections };
  }

  /** Removes tombstones, suspension and flag. A revoked device may pair again; nothing lets it in by itself. */
  async clear(caller: OperatorCaller, rawDeviceId: string, reason: string): Promise<void> {
    const deviceId = parseDeviceId(rawDeviceId);
    await this.parts.unitOfWork.run(async (unit) => {
      const row = await rowOf(unit.tables, deviceId);
      const identity = await readIdentity(unit.secrets, deviceId);
      // As for revocation: a device whose identity is there is in the list, and not revoked, whatever its row says.
      const isRevoked = row.state === 'revoked' && identity === undefined;
      const was = isRevoked ? 'revoked' : await endConflict(unit, identity);
      if (was === undefined) return;
      if (was === 'revoked') await clearTombstones(unit, deviceId);
      audit(unit, caller, 'device.cleared', deviceId, reason, { was });
    });
  }

  private async revokeInUnit(
    unit: Unit,
    caller: OperatorCaller,
    deviceId: string,
    reason: string,
  ): Promise<DeviceFields> {
    const identity = await readIdentity(unit.secrets, deviceId);
    const row: DeviceFields = await rowFor(unit, deviceId, identity);
    // The identity is what admits: while it is there the device is not revoked, whatever its row says.
    if (row.state === 'revoked' && identity === undefined) return row;
    const now = this.parts.clock.now();
    const fingerprint =
      identity === undefined ? row.identityFingerprint : identityFingerprint(identity.identityKey);
    await writeTombstones(unit, {
      deviceId,
      identityFingerprint: fingerprint,
      revokedAt: now,
      revokedBy: actorOf(caller),
    });
    await unit.secrets.delete(deviceRecordName(deviceId));
    await markRevoked(unit, deviceRecordName(deviceId), { at: now });
    const revoked: DeviceFields = {
      ...row,
      state: 'revoked',
      certificateFingerprint: null,
      certificateExpiresAt: null,
      conflictAt: null,
      revokedAt: now,
      revokedBy: actorOf(caller),
      revokeReason: reason,
    };
    await unit.tables.update(DeviceRow, { deviceId }, revoked);
    audit(unit, caller, 'device.revoked', deviceId, reason, { certificates: certificatesOf(identity) });
    return revoked;
  }

  private registered(row: DeviceFields): RegisteredDevice {
    return { row, openConnections: this.parts.connections.openConnections(row.deviceId) };
  }
}

async function rowOf(tables: EntityManager, deviceId: string): Promise<DeviceRow> {
  const row = await tables.findOneBy(DeviceRow, { deviceId });
  if (row === null)
    throw notFound('DEVICE_NOT_FOUND', `there is no device ${deviceId}; \`palyra devices list\` shows all`);
  return row;
}

/** The row, made anew when somebody took it away from under the identity, so that this can still be revoked. */
async function rowFor(
  unit: Unit,
  deviceId: string,
  identity: DeviceIdentity | undefined,
): Promise<DeviceFields> {
  const missing = !(await unit.tables.existsBy(DeviceRow, { deviceId }));
  if (missing && identity !== undefined) await writeIdentity(unit, identity);
  return rowOf(unit.tables, deviceId);
}

async function writeTombstones(unit: Unit, tombstone: Parameters<typeof encodeTombstone>[0]): Promise<void> {
  const bytes = encodeTombstone(tombstone);
  await unit.secrets.write(deviceTombstoneName(tombstone.deviceId), bytes);
  await unit.secrets.write(keyTombstoneName(tombstone.identityFingerprint), bytes);
}

async function clearTombstones(unit: Unit, deviceId: string): Promise<void> {
  const name = deviceTombstoneName(deviceId);
  const bytes = await unit.secrets.read(name);
  if (bytes !== undefined) {
    await unit.secrets.delete(keyTombstoneName(decodeTombstone(name, bytes).identityFingerprint));
    await unit.secrets.delete(name);
  }
  await unit.tables.delete(DeviceRow, { deviceId });
  await unit.tables.delete(DevicePresenceRow, { deviceId });
}

/** What the conflict had made of the device, by its sealed record; `undefined` when there was none. Its row is put right. */
async function endConflict(
  unit: Unit,
  identity: DeviceIdentity | undefined,
): Promise<'suspended' | 'flagged' | undefined> {
  if (identity === undefined) return undefined;
  const { suspendedAt, conflictAt } = identity;
  await writeIdentity(unit, { ...identity, suspendedAt: null, conflictAt: null });
  if (suspendedAt !== null) return 'suspended';
  return conflictAt === null ? undefined : 'flagged';
}

function audit(
  unit: Unit,
  caller: OperatorCaller,
  action: string,
  deviceId: string,
  reason: string,
  details: Record<string, unknown>,
): void {
  unit.audit.append({
    actor: actorOf(caller),
    source: caller.source,
    action,
    subject: `device/${deviceId}`,
    reason,
    details,
  });
}
