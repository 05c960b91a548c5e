import type { MigrationInterface, QueryRunner } from 'typeorm';
import { Table } from 'typeorm';
import { BYTES } from '../bytes-column.js';

/** The tables of the store itself: what opens it, its sealed records, and the audit chain. */
export class CreateStore1780000000000 implements MigrationInterface {
  readonly name = 'CreateStore1780000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const table of tables()) await queryRunner.createTable(table);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of tables().reverse()) await queryRunner.dropTable(table);
  }
}

function tables(): Table[] {
  const store = new Table({
    name: 'store',
    columns: [
      { name: 'id', type: 'integer', isPrimary: true },
      { name: 'store_id', type: BYTES },
      { name: 'wrapped_keys', type: BYTES },
      { name: 'scrypt_salt', type: BYTES, isNullable: true },
      { name: 'scrypt_n', type: 'integer', isNullable: true },
      { name: 'scrypt_r', type: 'integer', isNullable: true },
      { name: 'scrypt_p', type: 'integer', isNullable: true },
      { name: 'epoch', type: 'bigint' },
    ],
  });
  const secret = new Table({
    name: 'secret',
    columns: [
      { name: 'name', type: 'text', isPrimary: true },
      { name: 'record', type: BYTES },
    ],
  });
  const auditEntry = new Table({
    name: 'audit_entry',
    columns: [
      { name: 'sequence', type: 'bigint', isPrimary: true },
      { name: 'epoch', type: 'bigint' },
      { name: 'time_ms', type: 'bigint' },
      ...['actor', 'source', 'action', 'subject', 'reason', 'details'].map((name) => ({
        name,
        type: 'text',
      })),
      { name: 'previous', type: BYTES },
      { name: 'hash', type: BYTES },
    ],
  });
  const auditHead = new Table({
    name: 'audit_head',
    columns: [
      { name: 'id', type: 'integer', isPrimary: true },
      { name: 'sequence', type: 'bigint' },
      { name: 'hash', type: BYTES },
      { name: 'highest_time_ms', type: 'bigint' },
    ],
  });
  return [store, secret, auditEntry, auditHead];
}
