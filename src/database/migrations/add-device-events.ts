import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The order in which the events of one device are read out of the audit log. */
export class AddDeviceEvents1780000000610 implements MigrationInterface {
  readonly name = 'AddDeviceEvents1780000000610';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('CREATE INDEX "audit_entry_subject" ON "audit_entry" ("subject", "sequence")');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX "audit_entry_subject"');
  }
}
