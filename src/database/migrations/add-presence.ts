import type { MigrationInterface, QueryRunner } from 'typeorm';

/** When devices were there last, and what they say of themselves. */
export class AddPresence1780000000620 implements MigrationInterface {
  readonly name = 'AddPresence1780000000620';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `CREATE TABLE "device_presence" (
        "device_id" text PRIMARY KEY NOT NULL,
        "last_seen_at" bigint,
        "registered_at" bigint,
        "claimed_platform" text,
        "capabilities" text
      )`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE "device_presence"');
  }
}
