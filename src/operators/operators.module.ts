import { Module } from '@nestjs/common';
import { CertificateAuthority } from '../ca/certificate-authority.js';
import type { Settings } from '../config/settings.js';
import type { CommittedReader, UnitOfWork } from '../database/unit-of-work.js';
import { systemRandomBytes } from '../random/random-bytes.js';
import { CLOCK, COMMITTED_READER, OPERATOR_AUTHENTICATOR, SETTINGS, UNIT_OF_WORK } from '../runtime.js';
import type { Clock } from '../time/clock.js';
import type { OperatorAuthenticator } from './caller.js';
import { ensureFirstAdmin } from './first-admin.js';
import { OperatorRegister } from './operator-register.js';

/** Who may call ControlPlane. The first admin exists before the doors open. */
@Module({
  providers: [
    {
      provide: OPERATOR_AUTHENTICATOR,
      inject: [UNIT_OF_WORK, COMMITTED_READER, CLOCK, SETTINGS, CertificateAuthority],
      useFactory: async (
        unitOfWork: UnitOfWork,
        committed: CommittedReader,
        clock: Clock,
        settings: Settings,
        authority: CertificateAuthority,
      ): Promise<OperatorAuthenticator> => {
        const { dataDir } = settings.store;
        const caKeyHash = authority.caKeyHash();
        await ensureFirstAdmin({
          unitOfWork,
          committed,
          clock,
          dataDir,
          caKeyHash,
          random: systemRandomBytes,
        });
        return new OperatorRegister(committed.secrets);
      },
    },
  ],
  exports: [OPERATOR_AUTHENTICATOR],
})
export class OperatorsModule {}
