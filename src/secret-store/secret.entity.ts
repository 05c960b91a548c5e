import { Column, Entity, PrimaryColumn } from 'typeorm';
import { BYTES } from '../database/bytes-column.js';

/** One sealed record (docs/protocol.md, "Sealed records"). */
@Entity('secret')
export class SecretRow {
  @PrimaryColumn('text')
  name!: string;

  @Column(BYTES)
  record!: Buffer;
}
