import type { Metadata, ServerUnaryCall } from '@grpc/grpc-js';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { CertificateAuthority } from '../ca/certificate-authority.js';
import { ServerCertificates } from '../ca/server-certificates.js';
import type { Store } from '../database/open-store.js';
import type {
  GetStatusRequest,
  GetStatusResponse,
} from '../generated/palyra/controlplane/v1/control_plane.js';
import { operatorOf } from '../grpc/caller-of-call.js';
import { actorOf } from '../operators/caller.js';
import { ClusterFacts } from '../pairing/cluster-facts.js';
import { DeviceConnections } from '../quic/device-connections.js';
import { CLOCK, SERVICE_HOLDS, STORE } from '../runtime.js';
import type { ServiceHolds } from '../service-holds/service-holds.js';
import { holdToProto, restoreToProto } from '../store/backup-messages.js';
import { Quarantine } from '../store/quarantine.js';
import type { Clock } from '../time/clock.js';
import { VERSION } from '../version.js';
import { rootExpiresAt } from './root-expiry.js';

/** An Ed25519 public key is the last 32 bytes of its SPKI (RFC 8410 §4). */
const ED25519_KEY_BYTES = 32;

/** What this replica is and how it does. */
@Controller()
export class StatusController {
  private readonly startedAt: Date;

  constructor(
    @Inject(STORE) private readonly store: Store,
    @Inject(CLOCK) clock: Clock,
    private readonly authority: CertificateAuthority,
    private readonly certificates: ServerCertificates,
    private readonly cluster: ClusterFacts,
    private readonly connections: DeviceConnections,
    @Inject(SERVICE_HOLDS) private readonly holds: ServiceHolds,
    private readonly quarantine: Quarantine,
  ) {
    this.startedAt = new Date(clock.now());
  }

  @GrpcMethod('ControlPlane', 'getStatus')
  async getStatus(
    _request: GetStatusRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<GetStatusRequest, GetStatusResponse>,
  ): Promise<GetStatusResponse> {
    const caller = operatorOf(call);
    const { epoch, sequence } = this.store.storeTime();
    const restore = await this.quarantine.restore();
    const auditKey = await this.store.auditLog.publicKey();
    return {
      version: VERSION,
      trustDomain: this.authority.trustDomain,
      storeId: this.store.storeId,
      epoch: BigInt(epoch),
      sequence: BigInt(sequence),
      auditPublicKey: auditKey.subarray(-ED25519_KEY_BYTES),
      startTime: this.startedAt,
      quicConnections: this.openConnections(),
      grpcEndpoints: [...this.cluster.grpcEndpoints()],
      quicEndpoints: [...this.cluster.quicEndpoints()],
      rootExpireTime: new Date(rootExpiresAt(this.authority)),
      serverCertificateExpireTime: new Date(this.certificates.material('grpc').expiresAt),
      caller: actorOf(caller),
      callerRole: caller.role,
      holds: this.holds.all.map(holdToProto),
      restore: restore === undefined ? undefined : restoreToProto(restore),
    };
  }

  private openConnections(): number {
    return this.connections.connectedDevices
      .map((deviceId) => this.connections.openConnections(deviceId))
      .reduce((sum, open) => sum + open, 0);
  }
}
