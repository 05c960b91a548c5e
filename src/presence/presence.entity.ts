import { Column, Entity, PrimaryColumn } from 'typeorm';
import { int64 } from '../database/int64.js';

/** When a device was there, and what it says of itself. It grants nothing and decides nothing. */
@Entity('device_presence')
export class DevicePresenceRow {
  @PrimaryColumn('text', { name: 'device_id' })
  deviceId!: string;

  /** Unix milliseconds; written now and then while it is connected, and after it has gone. */
  @Column('bigint', { name: 'last_seen_at', nullable: true, transformer: int64 })
  lastSeenAt!: number | null;

  @Column('bigint', { name: 'registered_at', nullable: true, transformer: int64 })
  registeredAt!: number | null;

  @Column('text', { name: 'claimed_platform', nullable: true })
  claimedPlatform!: string | null;

  /** A JSON list of words. */
  @Column('text', { nullable: true })
  capabilities!: string | null;
}
