import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { int64 } from '../database/int64.js';

export type DeviceRowState = 'active' | 'suspended' | 'revoked';

/**
 * Index of the registry: what lists, counts and look-ups need. It grants nothing; the sealed record `device/<ULID>`
 * does. A row without its record lets nobody in.
 */
@Entity('device')
@Index('device_state', ['state', 'deviceId'])
@Index('device_state_expiry', ['state', 'certificateExpiresAt'])
export class DeviceRow {
  @PrimaryColumn('text', { name: 'device_id' })
  deviceId!: string;

  @Column('text')
  state!: DeviceRowState;

  @Column('text', { name: 'client_kind' })
  clientKind!: string;

  @Column('text')
  platform!: string;

  /** SHA-256 of the identity key, lower-case hex; an identity key belongs to one device id. */
  @Index('device_identity_fingerprint', { unique: true })
  @Column('text', { name: 'identity_fingerprint' })
  identityFingerprint!: string;

  @Column('bigint', { name: 'paired_at', transformer: int64 })
  pairedAt!: number;

  @Column('text', { name: 'certificate_fingerprint', nullable: true })
  certificateFingerprint!: string | null;

  @Column('bigint', { name: 'certificate_expires_at', nullable: true, transformer: int64 })
  certificateExpiresAt!: number | null;

  /** When a renewal conflict was seen that no operator has cleared. */
  @Column('bigint', { name: 'conflict_at', nullable: true, transformer: int64 })
  conflictAt!: number | null;

  @Column('bigint', { name: 'revoked_at', nullable: true, transformer: int64 })
  revokedAt!: number | null;

  @Column('text', { name: 'revoked_by', nullable: true })
  revokedBy!: string | null;

  @Column('text', { name: 'revoke_reason', nullable: true })
  revokeReason!: string | null;
}

/** A row as a plain object. */
export type DeviceFields = Pick<DeviceRow, keyof DeviceRow>;
