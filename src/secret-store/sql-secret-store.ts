import type { EntityManager } from 'typeorm';
import { ColumnLookUp, RowUpsert } from '../database/row-statements.js';
import type { RecordSealer } from './record-sealer.js';
import { requireSecretName, requireSecretPrefix } from './secret-name.js';
import type { SecretReader, SecretStore } from './secret-store.js';
import { SecretRow } from './secret.entity.js';

const recordByName = new ColumnLookUp(SecretRow, 'name', 'record');
const upsertRecord = new RowUpsert(SecretRow, 'name');

/** The sealed records of a database. What it reads and writes goes through the `EntityManager` it is given. */
export class SqlSecretReader implements SecretReader {
  constructor(
    protected readonly tables: EntityManager,
    protected readonly sealer: RecordSealer,
  ) {}

  async read(name: string): Promise<Buffer | undefined> {
    requireSecretName(name);
    const [record] = await recordByName.find<Buffer>(this.tables, name);
    return record && this.sealer.open(name, record);
  }

  async list(prefix: string, options: { after?: string; limit?: number } = {}): Promise<string[]> {
    requireSecretPrefix(prefix);
    const query = this.tables
      .createQueryBuilder(SecretRow, 'secret')
      .select('secret.name', 'name')
      .where('secret.name >= :prefix', { prefix })
      .orderBy('secret.name', 'ASC');
    const end = firstNameBehind(prefix);
    if (end !== undefined) query.andWhere('secret.name < :end', { end });
    if (options.after !== undefined) query.andWhere('secret.name > :after', { after: options.after });
    if (options.limit !== undefined) query.limit(options.limit);
    const rows = await query.getRawMany<{ name: string }>();
    return rows.map((row) => row.name);
  }
}

/** {@link SqlSecretReader} within a unit of work. */
export class SqlSecretStore extends SqlSecretReader implements SecretStore {
  async write(name: string, value: Uint8Array): Promise<void> {
    requireSecretName(name);
    await upsertRecord.run(this.tables, { name, record: this.sealer.seal(name, value) });
  }

  async delete(name: string): Promise<boolean> {
    requireSecretName(name);
    const { affected } = await this.tables.delete(SecretRow, { name });
    return affected === 1;
  }
}

/** The least text that sorts behind every text with this prefix; names and prefixes are ASCII. */
function firstNameBehind(prefix: string): string | undefined {
  if (prefix === '') return undefined;
  const last = prefix.length - 1;
  return prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1);
}
