import { Global, Module } from '@nestjs/common';
import { CertificateAuthority } from '../ca/certificate-authority.js';
import { CLOCK } from '../runtime.js';
import type { Clock } from '../time/clock.js';
import { VERSION } from '../version.js';
import { DeviceConnections } from './device-connections.js';
import { NODE_HEALTH, NodeHealthService } from './node-health.js';
import { NodeRpcController } from './node-rpc.controller.js';

/** Node RPC, and the list through which the registry closes connections. The door itself is opened in `main.ts`. */
@Global()
@Module({
  controllers: [NodeRpcController],
  providers: [
    DeviceConnections,
    {
      provide: NODE_HEALTH,
      inject: [CLOCK, CertificateAuthority],
      useFactory: (clock: Clock, { trustDomain }: CertificateAuthority): NodeHealthService =>
        new NodeHealthService(clock, { trustDomain, version: VERSION }),
    },
  ],
  exports: [DeviceConnections],
})
export class QuicModule {}
