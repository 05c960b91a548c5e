import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What renewal looks up: the key of each certificate, and conflicts. Plain `ALTER TABLE`, since TypeORM's own way of
 * adding a column on SQLite copies the table, and with it forgets which sequence numbers were given out.
 */
export class AddRenewal1780000000310 implements MigrationInterface {
  readonly name = 'AddRenewal1780000000310';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE "certificate" ADD COLUMN "key_hash" text');
    await queryRunner.query('CREATE INDEX "certificate_key_hash" ON "certificate" ("key_hash")');
    await queryRunner.query('ALTER TABLE "device" ADD COLUMN "conflict_at" bigint');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE "device" DROP COLUMN "conflict_at"');
    await queryRunner.query('DROP INDEX "certificate_key_hash"');
    await queryRunner.query('ALTER TABLE "certificate" DROP COLUMN "key_hash"');
  }
}
