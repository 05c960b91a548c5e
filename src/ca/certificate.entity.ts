import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import { int64 } from '../database/int64.js';

/**
 * Index of all certificates ever issued. It grants nothing: what may be used is in the sealed record of its device,
 * operator or door.
 */
@Entity('certificate')
@Index('certificate_serial', ['issuerKeyId', 'serial'], { unique: true })
@Index('certificate_subject', ['subjectId', 'sequence'])
@Index('certificate_unrevoked', ['expiresAt'], { where: '"revoked_at" IS NULL' })
@Index('certificate_revoked', ['expiresAt'], { where: '"revoked_at" IS NOT NULL' })
export class CertificateRow {
  /** Given out by the database, in the order of insertion; never used twice. */
  @PrimaryGeneratedColumn({ type: 'integer' })
  sequence!: number;

  /** SHA-256 of the DER, lower-case hex. */
  @Index('certificate_fingerprint', { unique: true })
  @Column('text')
  fingerprint!: string;

  /** SHA-256 of the certified key's SubjectPublicKeyInfo, lower-case hex; null for those of before it was kept. */
  @Index('certificate_key_hash')
  @Column('text', { name: 'key_hash', nullable: true })
  keyHash!: string | null;

  /** 16 octets, lower-case hex; unique for its issuer (RFC 5280 §4.1.2.2). */
  @Column('text')
  serial!: string;

  @Column('text', { name: 'issuer_key_id' })
  issuerKeyId!: string;

  /** `root`, `device`, `control-plane`. */
  @Column('text')
  profile!: string;

  /** Whom it is for, for example `device/01K9ZAYT3M4V5W6X7Y8Z9ABCDE`. */
  @Column('text', { name: 'subject_id' })
  subjectId!: string;

  /** RFC 4514 text. */
  @Column('text')
  subject!: string;

  @Column('bigint', { name: 'issued_at', transformer: int64 })
  issuedAt!: number;

  @Index('certificate_expires_at')
  @Column('bigint', { name: 'expires_at', transformer: int64 })
  expiresAt!: number;

  /** When it ceased to be admitted before its expiry; null otherwise. */
  @Column('bigint', { name: 'revoked_at', nullable: true, transformer: int64 })
  revokedAt!: number | null;

  @Column('text')
  pem!: string;
}
