import { Global, Module } from '@nestjs/common';
import type { Settings } from '../config/settings.js';
import type { UnitOfWork } from '../database/unit-of-work.js';
import { systemRandomBytes } from '../random/random-bytes.js';
import { CLOCK, SERVICE_HOLDS, SETTINGS, UNIT_OF_WORK } from '../runtime.js';
import type { ServiceHolds } from '../service-holds/service-holds.js';
import type { Clock } from '../time/clock.js';
import { CertificateAuthority } from './certificate-authority.js';
import { fixTrustDomain } from './cluster-record.js';

/** Opens the CA, or makes it at the first start, before anything that needs it. */
@Global()
@Module({
  providers: [
    {
      provide: CertificateAuthority,
      inject: [UNIT_OF_WORK, CLOCK, SETTINGS, SERVICE_HOLDS],
      useFactory: (
        unitOfWork: UnitOfWork,
        clock: Clock,
        settings: Settings,
        holds: ServiceHolds,
      ): Promise<CertificateAuthority> =>
        unitOfWork.run(async (unit) => {
          const trustDomain = await fixTrustDomain(unit, settings.cluster.trustDomain, systemRandomBytes);
          const requireIssuance = (work: 'issuance' | 'server_certificates'): void => {
            holds.require(work);
          };
          const returnGraceMs = settings.renewal.returnGrace;
          return CertificateAuthority.createOrLoad(unit, {
            trustDomain,
            clock,
            requireIssuance,
            publicHttpUrl: settings.http.publicUrl,
            returnGraceMs,
          });
        }),
    },
  ],
  exports: [CertificateAuthority],
})
export class CaModule {}
