import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { int64 } from '../database/int64.js';

/** Index of live codes. The sealed record `code/<id>` holds verifier and policy; a row without it pairs nobody. */
@Entity('pairing_code')
export class PairingCodeRow {
  @PrimaryColumn('text', { name: 'code_id' })
  codeId!: string;

  @Column('text')
  kind!: 'pin' | 'link';

  @Column('text', { name: 'created_by' })
  createdBy!: string;

  @Column('bigint', { name: 'created_at', transformer: int64 })
  createdAt!: number;

  @Index('pairing_code_expires_at')
  @Column('bigint', { name: 'expires_at', transformer: int64 })
  expiresAt!: number;
}

/** Tries begun with a PIN code id, whether or not such a code exists. */
@Entity('pairing_try')
export class PairingTryRow {
  @PrimaryColumn('text', { name: 'code_id' })
  codeId!: string;

  @Column('integer')
  tries!: number;

  /** How many of them the audit log already tells. */
  @Column('integer')
  audited!: number;

  @Index('pairing_try_last_at')
  @Column('bigint', { name: 'last_at', transformer: int64 })
  lastAt!: number;
}

export type PairingRequestState = 'pending_approval' | 'approved' | 'completed' | 'rejected' | 'expired';

/**
 * A request and what became of it, without secrets; it stays 30 days after the decision. While the request is pending,
 * `request/<id>` holds what the device proved, and that is what an operator is shown.
 */
@Entity('pairing_request')
@Index('pairing_request_state', ['state', 'requestId'])
@Index('pairing_request_device', ['deviceId', 'state'])
export class PairingRequestRow {
  /** ULID, so that the order of ids is the order of creation. */
  @PrimaryColumn('text', { name: 'request_id' })
  requestId!: string;

  @Column('text')
  state!: PairingRequestState;

  @Column('text', { name: 'device_id' })
  deviceId!: string;

  @Column('text', { name: 'client_kind' })
  clientKind!: string;

  @Column('text')
  platform!: string;

  @Column('text', { name: 'identity_fingerprint' })
  identityFingerprint!: string;

  @Column('text', { name: 'source_address' })
  sourceAddress!: string;

  @Column('text', { name: 'code_id' })
  codeId!: string;

  @Column('text', { name: 'code_created_by' })
  codeCreatedBy!: string;

  /** SHA-256 of the collect token, lower-case hex. */
  @Index('pairing_request_token_hash', { unique: true })
  @Column('text', { name: 'token_hash' })
  tokenHash!: string;

  @Column('bigint', { name: 'created_at', transformer: int64 })
  createdAt!: number;

  /** Pending: when it expires. Approved: when its certificate does. */
  @Index('pairing_request_expires_at')
  @Column('bigint', { name: 'expires_at', transformer: int64 })
  expiresAt!: number;

  @Column('text', { name: 'decided_by', nullable: true })
  decidedBy!: string | null;

  @Column('bigint', { name: 'decided_at', nullable: true, transformer: int64 })
  decidedAt!: number | null;

  @Column('text', { nullable: true })
  reason!: string | null;

  /** Approved: SHA-256 of the certificate's DER, lower-case hex. */
  @Column('text', { name: 'certificate_fingerprint', nullable: true })
  certificateFingerprint!: string | null;
}

/** A row as a plain object, to be written. */
export type PairingRequestFields = Pick<PairingRequestRow, keyof PairingRequestRow>;
