import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The orders in which certificates and devices are listed, so that a page costs no more when there are many. */
export class AddInventory1780000000430 implements MigrationInterface {
  readonly name = 'AddInventory1780000000430';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const [name, columns] of Object.entries(INDICES)) {
      await queryRunner.query(`CREATE INDEX "${name}" ON ${columns}`);
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const name of Object.keys(INDICES)) await queryRunner.query(`DROP INDEX "${name}"`);
  }
}

const INDICES: Readonly<Record<string, string>> = {
  certificate_unrevoked: '"certificate" ("expires_at") WHERE "revoked_at" IS NULL',
  certificate_revoked: '"certificate" ("expires_at") WHERE "revoked_at" IS NOT NULL',
  device_state: '"device" ("state", "device_id")',
  device_state_expiry: '"device" ("state", "certificate_expires_at")',
};
