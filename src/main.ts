import 'reflect-metadata';
import { resolve } from 'node:path';
import { setLogger as setGrpcLogger } from '@grpc/grpc-js';
import type { INestApplication, NestApplicationOptions } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { CertificateAuthority } from './ca/certificate-authority.js';
import { CrlPublisher } from './ca/crl/crl-publisher.js';
import { CertificateInventory } from './ca/inventory/certificate-inventory.js';
import { ServerCertificates } from './ca/server-certificates.js';
import { TRUST_BUNDLE_FILE, writeBundleFile } from './ca/trust-bundle-file.js';
import { masterKeySources } from './config/master-key-sources.js';
import type { Settings } from './config/settings.js';
import { formatHostPort } from './network/network-address.js';
import { openStore } from './database/open-store.js';
import type { DoorAddresses } from './door-addresses.js';
import { Doors } from './doors.js';
import { failureLog } from './grpc/failure-log.js';
import { httpAdapter } from './observability/http-door.js';
import { type Logger, createLogger } from './observability/logger.js';
import { MetricsToken } from './observability/metrics-token.js';
import { Metrics } from './observability/metrics.js';
import { NestLogger } from './observability/nest-logger.js';
import { Readiness } from './observability/readiness.js';
import { rootExpiresAt, rootExpiries } from './observability/root-expiry.js';
import { dataKeyLog, logKeyInForce } from './observability/store-log.js';
import type { Runtime } from './runtime.js';
import { ServiceHolds } from './service-holds/service-holds.js';
import { isUnconfirmed, QUARANTINE } from './store/quarantine.js';
import { type Clock, systemClock } from './time/clock.js';
import { ClockWatch } from './time/clock-watch.js';
import { VERSION } from './version.js';

export interface ServiceOptions {
  /** By default one on standard output, by the settings. */
  readonly logger?: Logger;
  readonly clock?: Clock;
}

/** A service whose doors are open. Addresses are `host:port` with the ports that the system chose. */
export interface RunningService {
  readonly grpcAddress: string;
  readonly quicAddress: string;
  readonly httpAddress: string;
  /** Ends it gracefully: no new calls, open ones finish within the grace time, then the store. Repeatable. */
  close(): Promise<void>;
}

/**
 * Starts the service: store, CA and server certificates first, then the doors. Resolves when everything listens and the
 * `ready` event is logged. Rejects with one error and leaves nothing open when any of it fails.
 */
export async function startService(
  settings: Settings,
  options: ServiceOptions = {},
): Promise<RunningService> {
  process.umask(0o077);
  const logger = options.logger ?? loggerOf(settings);
  const clock = options.clock ?? systemClock;
  quietGrpc(logger);
  const metricsToken = MetricsToken.fromFile(settings.http.metricsTokenFile);
  const { dataDir } = settings.store;
  const holds = new ServiceHolds();
  const store = await openStore({
    dataDir,
    ...masterKeySources(settings.store),
    clock,
    leftBehind: [TRUST_BUNDLE_FILE],
  });
  let clockWatch: ClockWatch | undefined;
  // A mistyped directory is a new, empty cluster: say so.
  if (store.created) logger.info({ event: 'store_created', dataDir: resolve(dataDir) }, 'new store');
  if (isUnconfirmed(store.restore)) {
    holds.raise(QUARANTINE);
    logger.warn({ event: 'store_quarantined' }, QUARANTINE.message);
  }
  logKeyInForce(logger, store);
  try {
    clockWatch = await watchClock({ clock, store, holds, logger });
    const runtime = { settings, clock, store, holds, clockWatch };
    return await new Service(runtime, logger, metricsToken).start();
  } catch (error) {
    await clockWatch?.stop();
    await store.close();
    throw error;
  }
}

/**
 * Runs the service until SIGTERM or SIGINT asks it to end; a second signal ends the process at once. A failure that no
 * one caught is logged and ends it with code 1: what state it left is unknown.
 */
export async function runService(settings: Settings, options: ServiceOptions = {}): Promise<void> {
  const logger = options.logger ?? loggerOf(settings);
  process.on('uncaughtException', (error, origin) => {
    logger.fatal({ err: error, origin }, 'a failure that nobody caught');
    process.exit(1);
  });
  const asked = signalled();
  const service = await startService(settings, { ...options, logger });
  await asked;
  await service.close();
}

/** One run of the service on an open store. */
class Service {
  private readonly metrics = new Metrics();
  private readonly readiness = new Readiness((check, passed) => {
    this.metrics.readinessChecked(check, passed);
  });
  #closing: Promise<void> | undefined;

  constructor(
    private readonly runtime: Runtime,
    private readonly logger: Logger,
    private readonly metricsToken: MetricsToken,
  ) {}

  async start(): Promise<RunningService> {
    const { runtime } = this;
    const failures = failureLog(this.logger);
    const dataKeyObserver = dataKeyLog(this.logger);
    const module = AppModule.of({ runtime, failures, dataKeyObserver, ...this.observability() });
    const app = await NestFactory.create(module, httpAdapter(runtime.settings.http), this.nestOptions());
    try {
      await this.publishBundle(app);
      const doors = new Doors(app, { runtime, failures, metrics: this.metrics, logger: this.logger });
      const addresses = await doors.open();
      this.watch(app, doors);
      return this.running(app, doors, addresses);
    } catch (error) {
      await this.closeApp(app);
      throw error;
    }
  }

  private observability(): { metrics: Metrics; readiness: Readiness; metricsToken: MetricsToken } {
    return { metrics: this.metrics, readiness: this.readiness, metricsToken: this.metricsToken };
  }

  private nestOptions(): Pick<NestApplicationOptions, 'logger' | 'abortOnError' | 'bodyParser'> {
    return { logger: new NestLogger(this.logger), abortOnError: false, bodyParser: false };
  }

  /** `ca.pem`: the roots, public, for clients on this machine. */
  private async publishBundle(app: INestApplication): Promise<void> {
    await writeBundleFile(this.runtime.settings.store.dataDir, app.get(CertificateAuthority).trustBundle());
  }

  private watch(app: INestApplication, doors: Doors): void {
    const { store, clock, holds } = this.runtime;
    const certificates = app.get(ServerCertificates);
    const authority = app.get(CertificateAuthority);
    const expiries = (): Record<'root' | 'grpc' | 'quic', number> => ({
      root: rootExpiresAt(authority),
      grpc: certificates.material('grpc').expiresAt,
      quic: certificates.material('quic').expiresAt,
    });
    this.metrics.readFrom({
      storeTime: () => store.storeTime(),
      quicConnections: () => doors.quic.endpoint.admittedConnections,
      devicesOnline: () => doors.quic.endpoint.devices.connectedDevices.length,
      certificateExpiries: expiries,
      nextDeviceExpiry: () => app.get(CertificateInventory).nextDeviceExpiry(),
      crlNextUpdate: () => app.get(CrlPublisher).nextUpdate(),
      roots: () => rootExpiries(authority),
    });
    this.readiness.add('store', async () => {
      await store.committed.secrets.read('check');
      await store.requireWritable();
    });
    this.readiness.add('certificates', () => {
      requireAll(Object.values(expiries()).map((expiresAt) => expiresAt > clock.now()));
    });
    this.readiness.add('quic', () => {
      requireAll([doors.quic.address !== undefined]);
    });
    this.readiness.add('holds', () => {
      holds.requireNone();
    });
  }

  private running(app: INestApplication, doors: Doors, addresses: DoorAddresses): RunningService {
    const { grpc, quic, http } = addresses;
    if (grpc === undefined || quic === undefined || http === undefined) {
      throw new Error('a door is open without an address');
    }
    const shown = { grpc: formatHostPort(grpc), quic: formatHostPort(quic), http: formatHostPort(http) };
    this.logger.info({ event: 'ready', ...shown, version: VERSION }, 'ready');
    return {
      grpcAddress: shown.grpc,
      quicAddress: shown.quic,
      httpAddress: shown.http,
      close: () => (this.#closing ??= this.close(app, doors)),
    };
  }

  private async close(app: INestApplication, doors: Doors): Promise<void> {
    this.logger.info({ event: 'stopping' }, 'stopping');
    this.readiness.drain();
    await doors.close();
    await this.closeApp(app);
    await this.runtime.clockWatch.stop();
    await this.runtime.store.close();
    this.logger.info({ event: 'stopped' }, 'stopped');
  }

  private async closeApp(app: INestApplication): Promise<void> {
    await app.close();
    await app.get(ServerCertificates).stop();
  }
}

/** Nothing is issued before somebody looks at the clock. */
async function watchClock({
  clock,
  store,
  holds,
  logger,
}: Pick<Runtime, 'clock' | 'store' | 'holds'> & { readonly logger: Logger }): Promise<ClockWatch> {
  const watch = await ClockWatch.start({
    clock,
    unitOfWork: store.unitOfWork,
    committed: store.committed,
    onCommit: (listener) => store.onCommit(listener),
    highestTimeMs: () => store.highestTimeMs(),
    onChange: (doubt) => {
      if (doubt === undefined) logger.info({ event: 'clock_believed' }, 'the clock is believed again');
      else
        logger.error(
          { event: 'clock_doubted', ...doubt },
          'the clock is not believed: nothing is issued or removed',
        );
    },
    onFailure: (error) => {
      logger.error({ err: error }, 'the highest time could not be kept; it will be tried again');
    },
  });
  holds.watch(() => watch.hold());
  return watch;
}

function loggerOf({ process: { logLevel, logFormat } }: Settings): Logger {
  return createLogger({ level: logLevel, format: logFormat });
}

/** grpc-js writes what strangers send to standard error unless it is told where else. */
function quietGrpc(logger: Logger): void {
  const write = (message?: unknown): void => {
    logger.debug({ context: 'grpc-js' }, String(message));
  };
  setGrpcLogger({ error: write, info: write, debug: write });
}

function requireAll(conditions: readonly boolean[]): void {
  if (conditions.includes(false)) {
    throw new Error('a condition does not hold');
  }
}

function signalled(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        resolve();
      });
    }
  });
}
