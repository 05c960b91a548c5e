import { Global, Module } from '@nestjs/common';
import { CertificateAuthority } from '../ca/certificate-authority.js';
import type { UnitOfWork } from '../database/unit-of-work.js';
import { systemRandomBytes } from '../random/random-bytes.js';
import { CLOCK, UNIT_OF_WORK } from '../runtime.js';
import type { Clock } from '../time/clock.js';
import { VERSION } from '../version.js';
import { DeviceConnections } from './device-connections.js';
import { NODE_HEALTH, NodeHealthService } from './node-health.js';
import { type QuicKeys, ensureQuicKeys } from './quic-keys.js';
import { NodeRpcController } from './node-rpc.controller.js';

/** Injection token of `QuicKeys`. */
export const QUIC_KEYS = Symbol('QuicKeys');

/** Node RPC, and the list through which the registry closes connections. The door itself is opened in `main.ts`. */
@Global()
@Module({
  controllers: [NodeRpcController],
  providers: [
    DeviceConnections,
    {
      provide: QUIC_KEYS,
      inject: [UNIT_OF_WORK],
      useFactory: (unitOfWork: UnitOfWork): Promise<QuicKeys> =>
        unitOfWork.run((unit) => ensureQuicKeys(unit, systemRandomBytes)),
    },
    {
      provide: NODE_HEALTH,
      inject: [CLOCK, CertificateAuthority],
      useFactory: (clock: Clock, { trustDomain }: CertificateAuthority): NodeHealthService =>
        new NodeHealthService(clock, { trustDomain, version: VERSION }),
    },
  ],
  exports: [DeviceConnections, QUIC_KEYS],
})
export class QuicModule {}
