import { Column, Entity, PrimaryColumn } from 'typeorm';
import { BYTES } from './bytes-column.js';
import { int64 } from './int64.js';

/** The one row of table `store`: what stands in clear because nothing can be opened without it. */
@Entity('store')
export class StoreRow {
  /** Always 1. */
  @PrimaryColumn('integer')
  id!: number;

  /** 16 random bytes. */
  @Column(BYTES, { name: 'store_id' })
  storeId!: Buffer;

  /** One or more wrapped data keys of 97 bytes each, one behind the other; the last one seals. */
  @Column(BYTES, { name: 'wrapped_keys' })
  wrappedKeys!: Buffer;

  /** 32 bytes, and the cost, when the master key comes from a passphrase; null when it is a key file. */
  @Column(BYTES, { name: 'scrypt_salt', nullable: true })
  scryptSalt!: Buffer | null;

  @Column('integer', { name: 'scrypt_n', nullable: true })
  scryptN!: number | null;

  @Column('integer', { name: 'scrypt_r', nullable: true })
  scryptR!: number | null;

  @Column('integer', { name: 'scrypt_p', nullable: true })
  scryptP!: number | null;

  /** Unix milliseconds when the store was made or restored. */
  @Column('bigint', { transformer: int64 })
  epoch!: number;
}

/** The columns of {@link StoreRow}. */
export type StoreFields = Pick<StoreRow, keyof StoreRow>;
