import { type DynamicModule, Module, type OnModuleInit } from '@nestjs/common';
import type { Settings } from '../../config/settings.js';
import type { CommittedReader, UnitOfWork } from '../../database/unit-of-work.js';
import { type FailureLog } from '../../grpc/failure-log.js';
import { CLOCK, COMMITTED_READER, SERVICE_HOLDS, SETTINGS, UNIT_OF_WORK } from '../../runtime.js';
import type { ServiceHolds } from '../../service-holds/service-holds.js';
import type { Clock } from '../../time/clock.js';
import { CertificateAuthority } from '../certificate-authority.js';
import { CrlPublisher } from './crl-publisher.js';
import { CrlController } from './crl.controller.js';

/** Revocation lists for those who do not ask the registry. */
@Module({ controllers: [CrlController] })
export class CrlModule implements OnModuleInit {
  constructor(private readonly publisher: CrlPublisher) {}

  /** Before the doors open. */
  onModuleInit(): Promise<void> {
    return this.publisher.warmUp();
  }

  static of(failures: FailureLog): DynamicModule {
    const publisher = {
      provide: CrlPublisher,
      inject: [CertificateAuthority, UNIT_OF_WORK, COMMITTED_READER, CLOCK, SETTINGS, SERVICE_HOLDS],
      useFactory: (
        authority: CertificateAuthority,
        unitOfWork: UnitOfWork,
        committed: CommittedReader,
        clock: Clock,
        settings: Settings,
        holds: ServiceHolds,
      ): CrlPublisher =>
        new CrlPublisher({
          issuers: () => authority.issuers(),
          unitOfWork,
          committed,
          clock,
          lifetimeMs: settings.cluster.crlValidity,
          // What is not to be believed about the time, or about what was revoked, is not signed.
          requireSigning: () => {
            holds.require('issuance');
          },
          // A hold is told where it is raised, and readiness and status name it: no failure of ours.
          onFailure: (error) => {
            if (holds.stopping('issuance') !== undefined) return;
            failures.report(error, 'a new revocation list');
          },
        }),
    };
    return { module: CrlModule, providers: [publisher], exports: [CrlPublisher] };
  }
}
