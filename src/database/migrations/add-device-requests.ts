import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The requests of a device, which each approval asks for. */
export class AddDeviceRequests1780000000520 implements MigrationInterface {
  readonly name = 'AddDeviceRequests1780000000520';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'CREATE INDEX "pairing_request_device" ON "pairing_request" ("device_id", "state")',
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX "pairing_request_device"');
  }
}
