import type { EntityManager } from 'typeorm';
import { sealedHeader } from './sealed-record.js';
import { SecretRow } from './secret.entity.js';

/** A record as it lies in the database. In a damaged one either may be something else than its column says. */
export interface SealedRow {
  readonly name: unknown;
  readonly record: unknown;
}

/** The sealed records themselves, unopened: for what goes through all of them. */
export class SqlSealedRecords {
  constructor(private readonly tables: EntityManager) {}

  async count(): Promise<number> {
    return this.tables.count(SecretRow);
  }

  /** The record of this name; `undefined` if there is none. */
  async one(name: string): Promise<SealedRow | undefined> {
    return this.tables
      .createQueryBuilder(SecretRow, 'secret')
      .select('secret.name', 'name')
      .addSelect('secret.record', 'record')
      .where('secret.name = :name', { name })
      .getRawOne<SealedRow>();
  }

  /** How many records do not name this data key (16 bytes): other keys, or nothing that has the form of a record. */
  async countNotUnder(dataKeyId: Buffer): Promise<number> {
    return this.tables
      .createQueryBuilder(SecretRow, 'secret')
      .where('substr(secret.record, 1, 17) <> :header', { header: sealedHeader(dataKeyId) })
      .getCount();
  }

  /** Records behind the name `after`, in ascending order of their names, at most `limit`. */
  async page(after: string, limit: number): Promise<SealedRow[]> {
    return this.tables
      .createQueryBuilder(SecretRow, 'secret')
      .select('secret.name', 'name')
      .addSelect('secret.record', 'record')
      .where('secret.name > :after', { after })
      .orderBy('secret.name', 'ASC')
      .limit(limit)
      .getRawMany<SealedRow>();
  }
}
