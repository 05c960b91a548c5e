import type { MigrationInterface, QueryRunner } from 'typeorm';
import { Table } from 'typeorm';

/** The index tables of the registry and of pairing. */
export class CreateRegistry1780000000100 implements MigrationInterface {
  readonly name = 'CreateRegistry1780000000100';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const table of tables()) await queryRunner.createTable(table);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of tables().reverse()) await queryRunner.dropTable(table);
  }
}

const text = (name: string): { name: string; type: string } => ({ name, type: 'text' });
const time = (name: string): { name: string; type: string } => ({ name, type: 'bigint' });
const integer = (name: string): { name: string; type: string } => ({ name, type: 'integer' });
const optional = <T extends object>(column: T): T & { isNullable: true } => ({ ...column, isNullable: true });
const primary = <T extends object>(column: T): T & { isPrimary: true } => ({ ...column, isPrimary: true });

function tables(): Table[] {
  return [deviceTable(), codeTable(), tryTable(), requestTable()];
}

function deviceTable(): Table {
  return new Table({
    name: 'device',
    columns: [
      primary(text('device_id')),
      text('state'),
      text('client_kind'),
      text('platform'),
      text('identity_fingerprint'),
      time('paired_at'),
      optional(text('certificate_fingerprint')),
      optional(time('certificate_expires_at')),
      optional(time('revoked_at')),
      optional(text('revoked_by')),
      optional(text('revoke_reason')),
    ],
    indices: [{ name: 'device_identity_fingerprint', columnNames: ['identity_fingerprint'], isUnique: true }],
  });
}

function codeTable(): Table {
  return new Table({
    name: 'pairing_code',
    columns: [
      primary(text('code_id')),
      text('kind'),
      text('created_by'),
      time('created_at'),
      time('expires_at'),
    ],
    indices: [{ name: 'pairing_code_expires_at', columnNames: ['expires_at'] }],
  });
}

function tryTable(): Table {
  return new Table({
    name: 'pairing_try',
    columns: [primary(text('code_id')), integer('tries'), integer('audited'), time('last_at')],
    indices: [{ name: 'pairing_try_last_at', columnNames: ['last_at'] }],
  });
}

function requestTable(): Table {
  return new Table({
    name: 'pairing_request',
    columns: [
      primary(text('request_id')),
      text('state'),
      text('device_id'),
      text('client_kind'),
      text('platform'),
      text('identity_fingerprint'),
      text('source_address'),
      text('code_id'),
      text('code_created_by'),
      text('token_hash'),
      time('created_at'),
      time('expires_at'),
      optional(text('decided_by')),
      optional(time('decided_at')),
      optional(text('reason')),
      optional(text('certificate_fingerprint')),
    ],
    indices: [
      { name: 'pairing_request_state', columnNames: ['state', 'request_id'] },
      { name: 'pairing_request_token_hash', columnNames: ['token_hash'], isUnique: true },
      { name: 'pairing_request_expires_at', columnNames: ['expires_at'] },
    ],
  });
}
