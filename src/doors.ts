import { readFileSync } from 'node:fs';
import type { INestApplication } from '@nestjs/common';
import { CertificateAuthority } from './ca/certificate-authority.js';
import { verifyDeviceChain } from './ca/chain-verification.js';
import { ServerCertificates } from './ca/server-certificates.js';
import { type HostPort, formatHostPort } from './network/network-address.js';
import { DoorAddresses } from './door-addresses.js';
import type { FailureLog } from './grpc/failure-log.js';
import { GrpcServer } from './grpc/grpc-server.js';
import { RenewableServerCredentials } from './grpc/server-credentials.js';
import { noteFirstAdmission } from './identity/first-admission.js';
import { IdentityManager } from './identity/identity-manager.js';
import type { Logger } from './observability/logger.js';
import type { Metrics } from './observability/metrics.js';
import { QuicLog, observers } from './observability/quic-log.js';
import type { OperatorAuthenticator } from './operators/caller.js';
import { Presence } from './presence/presence.js';
import { DeviceConnections } from './quic/device-connections.js';
import { QuicEndpoint } from './quic/quic-endpoint.js';
import type { QuicKeys } from './quic/quic-keys.js';
import { QUIC_KEYS } from './quic/quic.module.js';
import type { QuicSettings as QuicEndpointSettings } from './quic/quic-settings.js';
import { QuicStrategy } from './quic/quic-strategy.js';
import { OPERATOR_AUTHENTICATOR, type Runtime } from './runtime.js';

/** What the doors need beside the application. */
export interface DoorParts {
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly failures: FailureLog;
}

const DESCRIPTOR_SET = new URL('../proto/descriptor-set.binpb', import.meta.url);

/** The three doors of the service over one application. */
export class Doors {
  readonly grpc: GrpcServer;
  readonly quic: QuicStrategy;
  readonly #endRenewals: () => void;

  constructor(
    private readonly app: INestApplication,
    private readonly parts: DoorParts,
  ) {
    const certificates = app.get(ServerCertificates);
    const { settings } = parts.runtime;
    const credentials = new RenewableServerCredentials(
      certificates.material('grpc'),
      settings.grpc.handshakeTimeout,
    );
    this.quic = this.quicDoor(certificates);
    this.grpc = new GrpcServer({
      settings: settings.grpc,
      credentials,
      operators: app.get<OperatorAuthenticator>(OPERATOR_AUTHENTICATOR),
      observer: parts.metrics,
      failures: parts.failures,
      storeTime: parts.runtime.store,
      descriptorSet: readFileSync(DESCRIPTOR_SET),
      shutdownGraceMs: settings.process.shutdownGrace,
      nodeHandlers: () => this.quic.methods,
    });
    this.#endRenewals = certificates.onRenewed((door, material) => {
      if (door === 'grpc') {
        credentials.replace(material);
      } else {
        this.quic.endpoint.replaceTlsMaterial(material);
      }
      parts.logger.info(
        { event: 'certificate_renewed', door, expiresAt: material.expiresAt },
        'certificate renewed',
      );
    });
  }

  /**
   * Opens QUIC, gRPC and HTTP, in this order: whoever pairs over gRPC is told where QUIC is. Rejects when one cannot be
   * opened; the caller closes the application then, and the doors with it.
   */
  async open(): Promise<DoorAddresses> {
    const { app } = this;
    const addresses = app.get(DoorAddresses);
    const quic = app.connectMicroservice({ strategy: this.quic }, { inheritAppConfig: true });
    const grpc = app.connectMicroservice({ strategy: this.grpc }, { inheritAppConfig: true });
    await app.init();
    await opening('QUIC', this.parts.runtime.settings.quic.listen, () => quic.listen());
    addresses.quic = this.quic.address;
    await grpc.listen();
    addresses.grpc = this.grpc.address;
    const { listen } = this.parts.runtime.settings.http;
    await opening('HTTP', listen, () => app.listen(listen.port, listen.host));
    addresses.http = httpAddress(app);
    this.grpc.health.set('SERVING');
    return addresses;
  }

  /** Before the application is closed: nobody new comes, and what is under way may go on for the grace time, on both doors at once. */
  async close(): Promise<void> {
    this.#endRenewals();
    await Promise.all([this.grpc.close(), this.quic.close()]);
  }

  private quicDoor(certificates: ServerCertificates): QuicStrategy {
    const { app, parts } = this;
    const { clock, settings, store, holds } = parts.runtime;
    const authority = app.get(CertificateAuthority);
    return new QuicStrategy({
      listen: settings.quic.listen,
      maxConnections: settings.quic.maxConnections,
      shutdownGraceMs: settings.process.shutdownGrace,
      endpoint: (handler) =>
        new QuicEndpoint({
          tls: certificates.material('quic'),
          clock,
          verifyChain: (chain, now) =>
            verifyDeviceChain(chain, authority.trustBundle().roots, now, authority.trustDomain),
          identities: app.get(IdentityManager),
          noteAdmitted: (deviceId, fingerprint) =>
            noteFirstAdmission({ unitOfWork: store.unitOfWork, clock }, deviceId, fingerprint),
          admissionHeld: () => holds.stopping('admission')?.reason,
          handler,
          observer: observers(parts.metrics, new QuicLog(parts.logger), app.get(Presence)),
          devices: app.get(DeviceConnections),
          keys: app.get<QuicKeys>(QUIC_KEYS),
          settings: quicSettings(settings.quic),
        }),
    });
  }
}

function quicSettings(settings: Runtime['settings']['quic']): Partial<QuicEndpointSettings> {
  return {
    maxHandshakes: settings.maxHandshakes,
    maxHandshakesPerSource: settings.maxHandshakesPerAddress,
    maxConnections: settings.maxConnections,
    maxConnectionsPerDevice: settings.maxConnectionsPerDevice,
    handshakeTimeoutMs: settings.handshakeTimeout,
    idleTimeoutMs: settings.idleTimeout,
    maxStreams: settings.maxStreams,
    maxUnreadBytes: settings.maxUnread,
    maxUnreadBytesPerStream: settings.maxUnreadPerStream,
    maxOverheadBytes: settings.maxOverhead,
    maxQueuedResponseBytes: settings.maxQueued,
    requestTimeoutMs: settings.requestTimeout,
    retryTokenLifetimeMs: settings.retryTokenLifetime,
    overlapMs: settings.overlap,
    drainTimeoutMs: settings.linger,
    socketBufferBytes: settings.socketBuffer,
  };
}

/** @throws Error that names the door and its address. */
async function opening(door: string, address: HostPort, open: () => Promise<unknown>): Promise<void> {
  try {
    await open();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new Error(
      `${door} cannot listen on ${formatHostPort(address)} (${code}): end what uses it, or set PALYRA_${door.toUpperCase()}_LISTEN to another address`,
      { cause: error },
    );
  }
}

function httpAddress(app: INestApplication): HostPort {
  const server = app.getHttpServer() as { address(): { address: string; port: number } };
  const { address, port } = server.address();
  return { host: address, port };
}
