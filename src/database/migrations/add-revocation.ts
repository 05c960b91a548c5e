import type { MigrationInterface, QueryRunner } from 'typeorm';
import { Table } from 'typeorm';

/** What revocation lists are made of, and their numbers; the order in which certificates end. */
export class AddRevocation1780000000420 implements MigrationInterface {
  readonly name = 'AddRevocation1780000000420';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.createTable(revocationTable());
    await queryRunner.createTable(crlTable());
    await queryRunner.query(
      `INSERT INTO "revocation" ("certificate_sequence", "issuer_key_id", "serial", "revoked_at", "expires_at")
       SELECT "sequence", "issuer_key_id", "serial", "revoked_at", "expires_at" FROM "certificate"
       WHERE "revoked_at" IS NOT NULL ORDER BY "sequence"`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.dropTable(crlTable());
    await queryRunner.dropTable(revocationTable());
  }
}

const text = (name: string): { name: string; type: string } => ({ name, type: 'text' });
const time = (name: string): { name: string; type: string } => ({ name, type: 'bigint' });

function revocationTable(): Table {
  return new Table({
    name: 'revocation',
    columns: [
      {
        name: 'number',
        type: 'integer',
        isPrimary: true,
        isGenerated: true,
        generationStrategy: 'increment',
      },
      { name: 'certificate_sequence', type: 'integer' },
      text('issuer_key_id'),
      text('serial'),
      time('revoked_at'),
      time('expires_at'),
      { name: 'reason_code', type: 'integer', isNullable: true },
    ],
    foreignKeys: [
      {
        name: 'revocation_certificate_key',
        columnNames: ['certificate_sequence'],
        referencedTableName: 'certificate',
        referencedColumnNames: ['sequence'],
        onDelete: 'CASCADE',
      },
    ],
    indices: [
      { name: 'revocation_issuer', columnNames: ['issuer_key_id', 'number'] },
      { name: 'revocation_certificate', columnNames: ['certificate_sequence'], isUnique: true },
    ],
  });
}

function crlTable(): Table {
  return new Table({
    name: 'crl',
    columns: [
      { ...text('issuer_key_id'), isPrimary: true },
      { name: 'number', type: 'bigint' },
    ],
  });
}
