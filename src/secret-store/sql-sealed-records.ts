import type { EntityManager } from 'typeorm';
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
