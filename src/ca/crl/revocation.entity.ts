import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import { int64 } from '../../database/int64.js';
import { CertificateRow } from '../certificate.entity.js';

/**
 * A certificate that ceased to be admitted before its expiry: what revocation lists are made of. Goes with the row of its
 * certificate.
 */
@Entity('revocation')
@Index('revocation_issuer', ['issuerKeyId', 'number'])
export class RevocationRow {
  /**
   * Given out by the database, in the order of insertion; never used twice. With one writer that is also the order of the
   * commits, so that whoever has seen up to a number finds all that is new behind it.
   */
  @PrimaryGeneratedColumn({ type: 'integer' })
  number!: number;

  @ManyToOne(() => CertificateRow, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'certificate_sequence', foreignKeyConstraintName: 'revocation_certificate_key' })
  certificate?: CertificateRow;

  @Index('revocation_certificate', { unique: true })
  @Column('integer', { name: 'certificate_sequence' })
  certificateSequence!: number;

  @Column('text', { name: 'issuer_key_id' })
  issuerKeyId!: string;

  /** 16 octets, lower-case hex. */
  @Column('text')
  serial!: string;

  @Column('bigint', { name: 'revoked_at', transformer: int64 })
  revokedAt!: number;

  /** Of the certificate. */
  @Column('bigint', { name: 'expires_at', transformer: int64 })
  expiresAt!: number;

  /** CRLReason (RFC 5280 §5.3.1); null when none is known. */
  @Column('integer', { name: 'reason_code', nullable: true })
  reasonCode!: number | null;
}

/** The last revocation list of a CA key. */
@Entity('crl')
export class CrlRow {
  @PrimaryColumn('text', { name: 'issuer_key_id' })
  issuerKeyId!: string;

  /** CRL number (RFC 5280 §5.2.3). */
  @Column('bigint', { transformer: int64 })
  number!: number;
}
