import { Module } from '@nestjs/common';
import type { CommittedReader } from '../../database/unit-of-work.js';
import { CLOCK, COMMITTED_READER } from '../../runtime.js';
import type { Clock } from '../../time/clock.js';
import { CertificateInventory } from './certificate-inventory.js';
import { CertificatesController } from './certificates.controller.js';

/** What was issued, and what ends when. */
@Module({
  controllers: [CertificatesController],
  providers: [
    {
      provide: CertificateInventory,
      inject: [COMMITTED_READER, CLOCK],
      useFactory: (committed: CommittedReader, clock: Clock): CertificateInventory =>
        new CertificateInventory(committed, clock),
    },
  ],
  exports: [CertificateInventory],
})
export class InventoryModule {}
