import type { MigrationInterface, QueryRunner } from 'typeorm';
import { Table } from 'typeorm';

/** The index of issued certificates. */
export class CreateCertificate1780000000200 implements MigrationInterface {
  readonly name = 'CreateCertificate1780000000200';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.createTable(certificateTable());
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.dropTable(certificateTable());
  }
}

function certificateTable(): Table {
  const text = (name: string): { name: string; type: string } => ({ name, type: 'text' });
  const time = (name: string): { name: string; type: string } => ({ name, type: 'bigint' });
  return new Table({
    name: 'certificate',
    columns: [
      {
        name: 'sequence',
        type: 'integer',
        isPrimary: true,
        isGenerated: true,
        generationStrategy: 'increment',
      },
      text('fingerprint'),
      text('serial'),
      text('issuer_key_id'),
      text('profile'),
      text('subject_id'),
      text('subject'),
      time('issued_at'),
      time('expires_at'),
      { ...time('revoked_at'), isNullable: true },
      text('pem'),
    ],
    indices: [
      { name: 'certificate_fingerprint', columnNames: ['fingerprint'], isUnique: true },
      { name: 'certificate_serial', columnNames: ['issuer_key_id', 'serial'], isUnique: true },
      { name: 'certificate_subject', columnNames: ['subject_id', 'sequence'] },
      { name: 'certificate_expires_at', columnNames: ['expires_at'] },
    ],
  });
}
