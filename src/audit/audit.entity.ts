import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { BYTES } from '../database/bytes-column.js';
import { int64 } from '../database/int64.js';

/** One link of the hash chain; see `AuditEntry`. */
@Entity('audit_entry')
@Index('audit_entry_subject', ['subject', 'sequence'])
export class AuditEntryRow {
  @PrimaryColumn('bigint', { transformer: int64 })
  sequence!: number;

  @Column('bigint', { transformer: int64 })
  epoch!: number;

  @Column('bigint', { name: 'time_ms', transformer: int64 })
  timeMs!: number;

  @Column('text')
  actor!: string;

  @Column('text')
  source!: string;

  @Column('text')
  action!: string;

  @Column('text')
  subject!: string;

  @Column('text')
  reason!: string;

  /** Stored as text: the hash is over these very bytes. */
  @Column('text')
  details!: string;

  @Column(BYTES)
  previous!: Buffer;

  @Column(BYTES)
  hash!: Buffer;
}

/** The one row of table `audit_head`: where the chain goes on. */
@Entity('audit_head')
export class AuditHeadRow {
  /** Always 1. */
  @PrimaryColumn('integer')
  id!: number;

  @Column('bigint', { transformer: int64 })
  sequence!: number;

  @Column(BYTES)
  hash!: Buffer;

  /** The highest time ever audited, Unix milliseconds; a clock far behind it is wrong (DESIGN §3, "Clock"). */
  @Column('bigint', { name: 'highest_time_ms', transformer: int64 })
  highestTimeMs!: number;
}
